//! A trace as JSON lines, out and in.

use std::io::{self, BufRead, Write};

use super::Event;

/// Writes one event as one line.
///
/// # Errors
/// What the writer returns.
pub fn write_event(out: &mut impl Write, event: &Event) -> io::Result<()> {
    serde_json::to_writer(&mut *out, event)?;
    out.write_all(b"\n")
}

/// Reads a whole trace; the error names the line.
///
/// # Errors
/// A read error, or a line that is not an event.
pub fn read_trace(input: impl BufRead) -> io::Result<Vec<Event>> {
    let mut events = Vec::new();
    for (number, line) in input.lines().enumerate() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let event = serde_json::from_str(&line)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("line {}: {error}", number + 1)))?;
        events.push(event);
    }
    Ok(events)
}

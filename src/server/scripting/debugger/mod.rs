//! The debugger of scripts (`ldb…` of `eval.c`): what it knows, and the commands that don't look into the interpreter. A session
//! is a value: the script, what its client has typed so far, and how much it has been told. With each command the script is run
//! again from its start, is told what it was answered before (`answers.rs`) and asked what it was asked before; what is new goes
//! to the client. So sessions can be cloned like everything else, and a server stays a state machine.

pub(crate) mod human;
pub(crate) mod session;

use bytes::{Buf as _, BytesMut};

use crate::resp::parse_i64;

/// Breakpoints that a session may have (`LDB_BREAKPOINTS_MAX`).
const MOST_BREAKPOINTS: usize = 64;
/// Bytes of a value that are shown at first (`LDB_MAX_LEN_DEFAULT`).
const SHOWN: usize = 256;
/// A read of the socket.
const READ: usize = 1_024;
/// A command may have so many words, and words so many bytes.
const MOST: i64 = 1_024;
/// What is read without making a command.
const MOST_UNREAD: usize = 1 << 20;

/// What the debugger reads from its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A command.
    Command(Vec<Vec<u8>>),
    /// No command: the script gets this error.
    Broken(&'static str),
    /// The client has left.
    Gone,
}

/// What is read and not yet used.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unread {
    /// In the socket.
    socket: BytesMut,
    /// What the debugger has read of it (`ldb.cbuf`).
    buffer: Vec<u8>,
}

impl Unread {
    /// More has arrived.
    pub(crate) fn feed(&mut self, data: &[u8]) {
        self.socket.extend_from_slice(data);
    }

    /// The next line, if there is one. What came with it in the same read is lost, as it is in a real server.
    pub(crate) fn next(&mut self) -> Option<Line> {
        while !self.socket.is_empty() {
            let len = self.socket.len().min(READ);
            self.buffer.extend_from_slice(&self.socket[..len]);
            self.socket.advance(len);
            if self.buffer.len() > MOST_UNREAD {
                self.buffer.clear();
                return Some(Line::Broken("max client buffer reached"));
            }
            match parse(&self.buffer) {
                Ok(Some(words)) => {
                    self.buffer.clear();
                    return Some(Line::Command(words));
                }
                Ok(None) => {}
                Err(()) => return Some(Line::Broken("protocol error")),
            }
        }
        None
    }
}

/// A number as C reads it: blanks, a sign and digits as far as they go (`atoi`).
fn leading_number(text: &[u8]) -> i64 {
    let from = text.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(text.len());
    let (negative, digits) = match text.get(from) {
        Some(b'-') => (true, &text[from + 1..]),
        Some(b'+') => (false, &text[from + 1..]),
        _ => (false, &text[from..]),
    };
    let number = digits.iter().take_while(|byte| byte.is_ascii_digit()).fold(0_i64, |number, digit| {
        number.saturating_mul(10).saturating_add(i64::from(digit - b'0')).min(i64::from(i32::MAX))
    });
    if negative { -number } else { number }
}

/// The words of a command; `None`: it is not complete (`ldbReplParseCommand`).
fn parse(text: &[u8]) -> Result<Option<Vec<Vec<u8>>>, ()> {
    // A line and what follows it. Texts end with their first zero for those functions in C.
    fn line(text: &[u8]) -> Option<(&[u8], &[u8])> {
        let text_end = memchr::memchr(0, text).unwrap_or(text.len());
        let end = memchr::memmem::find(&text[..text_end], b"\r\n")?;
        Some((&text[..end], &text[end + 2..]))
    }
    let text_end = memchr::memchr(0, text).unwrap_or(text.len());
    let Some(star) = memchr::memchr(b'*', &text[..text_end]) else { return Err(()) };
    let Some((count, mut rest)) = line(&text[star + 1..]) else { return Ok(None) };
    let count = leading_number(count);
    if count <= 0 || count > MOST {
        return Err(());
    }
    let mut words = Vec::new();
    for _ in 0..count {
        match rest.first() {
            None | Some(0) => return Ok(None),
            Some(b'$') => {}
            Some(_) => return Err(()),
        }
        let Some((len, behind)) = line(&rest[1..]) else { return Ok(None) };
        let len = leading_number(len);
        if len <= 0 || len > MOST {
            return Err(());
        }
        let len = usize::try_from(len).map_err(|_| ())?;
        if len + 2 > behind.len() {
            return Ok(None);
        }
        let (word, behind) = behind.split_at(len);
        rest = behind.strip_prefix(b"\r\n").ok_or(())?;
        words.push(word.to_vec());
    }
    Ok(Some(words))
}

/// What a command asks for that the debugger alone can't do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked<'a> {
    /// Nothing: it is done.
    Nothing,
    /// The script goes on.
    GoOn,
    /// It is aborted.
    Abort,
    /// One variable, or those of the innermost function.
    Print(Option<&'a [u8]>),
    /// To execute some Lua code.
    Eval(Vec<u8>),
    /// To call a command of the server.
    Redis(&'a [Vec<u8>]),
    /// Who called whom.
    Trace,
}

/// The debugger while a script runs (`struct ldbState`).
#[derive(Debug)]
pub(crate) struct Debugger {
    /// The script's lines.
    source: Vec<Vec<u8>>,
    breakpoints: Vec<i64>,
    /// It stops at the next line.
    pub step: bool,
    /// It stops at the next line because the script wants it to.
    pub called: bool,
    /// The client has left: nothing is read any more.
    pub gone: bool,
    /// It can't go on, as a real server can't that crashes.
    pub crashed: bool,
    /// It never comes back.
    pub hung: bool,
    line: i64,
    shown: usize,
    hinted: bool,
    logs: Vec<Vec<u8>>,
    /// What the client has typed so far, and how much of it was used.
    typed: Vec<Line>,
    used: usize,
    /// Messages to the client so far, and how many it has from earlier runs.
    messages: usize,
    known: usize,
    /// New messages.
    out: BytesMut,
    /// Nanoseconds after which a script that doesn't stop is stopped.
    pub patience: u64,
}

impl Debugger {
    /// At the start of a run of this script, for a client that has typed this and been told so many messages.
    pub(crate) fn new(script: &[u8], typed: Vec<Line>, known: usize, patience: u64) -> Debugger {
        let end = script.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |at| at + 1);
        let source = match end {
            0 => Vec::new(),
            _ => script[..end].split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect(),
        };
        Debugger {
            source,
            breakpoints: Vec::new(),
            step: true,
            called: false,
            gone: false,
            crashed: false,
            hung: false,
            line: 0,
            shown: SHOWN,
            hinted: false,
            logs: Vec::new(),
            typed,
            used: 0,
            messages: 0,
            known,
            out: BytesMut::new(),
            patience,
        }
    }

    /// Says something with the next message.
    pub(crate) fn log(&mut self, text: impl Into<Vec<u8>>) {
        self.logs.push(text.into());
    }

    /// The same, not longer than the client wants it.
    pub(crate) fn log_cut(&mut self, mut text: Vec<u8>) {
        let trimmed = self.shown > 0 && text.len() > self.shown;
        if trimmed {
            text.truncate(self.shown);
            text.extend_from_slice(b" ...");
        }
        self.log(text);
        if trimmed && !self.hinted {
            self.hinted = true;
            self.log("<hint> The above reply was trimmed. Use 'maxlen 0' to disable trimming.");
        }
    }

    /// What was said becomes a message.
    pub(crate) fn send(&mut self) {
        self.messages += 1;
        let logs = std::mem::take(&mut self.logs);
        if self.messages <= self.known {
            return;
        }
        self.out.extend_from_slice(format!("*{}\r\n", logs.len()).as_bytes());
        for text in logs {
            self.out.extend_from_slice(b"+");
            self.out.extend(text.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }));
            self.out.extend_from_slice(b"\r\n");
        }
    }

    /// The new messages, and how many the client knows with them.
    pub(crate) fn take(&mut self) -> (BytesMut, usize) {
        (std::mem::take(&mut self.out), self.messages.max(self.known))
    }

    /// Where the script is.
    pub(crate) fn at(&mut self, line: i64) {
        self.line = line;
    }

    /// The line where it is.
    pub(crate) fn line(&self) -> i64 {
        self.line
    }

    /// Why it stops here, if it does; the flag: because it has run for so long.
    pub(crate) fn stops(&self, too_long: bool) -> Option<&'static str> {
        let marked = self.breakpoints.contains(&self.line);
        if self.called {
            Some("redis.breakpoint() called")
        } else if marked {
            Some("break point")
        } else if too_long {
            Some("timeout reached, infinite loop?")
        } else {
            self.step.then_some("step over")
        }
    }

    /// It stops.
    pub(crate) fn stop(&mut self, reason: &str) {
        (self.step, self.called) = (false, false);
        self.log(format!("* Stopped at {}, stop reason = {reason}", self.line));
        self.log_line(self.line);
        self.send();
    }

    /// What the client types next; `None`: that isn't known yet.
    pub(crate) fn read(&mut self) -> Option<Line> {
        if self.gone {
            return Some(Line::Gone);
        }
        let line = self.typed.get(self.used)?.clone();
        self.used += 1;
        if line == Line::Gone {
            self.gone = true;
        }
        if self.gone {
            self.step = false;
            self.breakpoints.clear();
        }
        Some(line)
    }

    /// Says a line of the source (`ldbLogSourceLine`).
    pub(crate) fn log_line(&mut self, line: i64) {
        let text = usize::try_from(line - 1).ok().and_then(|at| self.source.get(at));
        let text = text.map_or(&b"<out of range source code line>"[..], Vec::as_slice);
        let prefix = match (line == self.line, self.breakpoints.contains(&line)) {
            (true, true) => "->#",
            (true, false) => "-> ",
            (false, true) => "  #",
            (false, false) => "   ",
        };
        let mut shown = format!("{prefix}{line:<3} ").into_bytes();
        shown.extend_from_slice(text.split(|byte| *byte == 0).next().unwrap_or_default());
        self.log(shown);
    }

    fn list(&mut self, around: i64, context: i64) {
        for line in 1..=self.lines() {
            if (around - line).abs() <= context {
                self.log_line(line);
            }
        }
    }

    fn lines(&self) -> i64 {
        i64::try_from(self.source.len()).unwrap_or(i64::MAX)
    }

    /// Executes a command as far as the debugger can do so alone. What has an answer in [`Asked`] sends it itself.
    pub(crate) fn command<'a>(&mut self, words: &'a [Vec<u8>]) -> Asked<'a> {
        let name = words[0].to_ascii_lowercase();
        match &name[..] {
            b"h" | b"help" => HELP.lines().for_each(|line| self.log(line)),
            b"s" | b"step" | b"n" | b"next" => {
                self.step = true;
                return Asked::GoOn;
            }
            b"c" | b"continue" => return Asked::GoOn,
            b"t" | b"trace" => return Asked::Trace,
            b"m" | b"maxlen" => self.max_len(words),
            b"b" | b"break" => self.break_at(words),
            b"e" | b"eval" => return Asked::Eval(words[1..].join(&b' ')),
            b"a" | b"abort" => return Asked::Abort,
            b"r" | b"redis" if words.len() > 1 => return Asked::Redis(&words[1..]),
            b"p" | b"print" if words.len() == 2 => return Asked::Print(Some(&words[1])),
            b"p" | b"print" => return Asked::Print(None),
            b"l" | b"list" => {
                let number = |at: usize| words.get(at).map(|word| leading_number(word));
                let around = number(1).filter(|around| *around > 0).unwrap_or(self.line);
                self.list(around, number(2).unwrap_or(5));
            }
            b"w" | b"whole" => self.list(1, 1_000_000),
            _ => self.log("<error> Unknown Redis Lua debugger command or wrong number of arguments."),
        }
        self.send();
        Asked::Nothing
    }

    fn max_len(&mut self, words: &[Vec<u8>]) {
        if let [_, len] = words {
            self.hinted = true;
            let len = leading_number(len);
            self.shown = if len == 0 { 0 } else { usize::try_from(len).unwrap_or(0).max(60) };
        }
        self.log(match self.shown {
            0 => "<value> replies are unlimited.".to_owned(),
            shown => format!("<value> replies are truncated at {shown} bytes."),
        });
    }

    fn break_at(&mut self, words: &[Vec<u8>]) {
        if words.len() == 1 {
            if self.breakpoints.is_empty() {
                return self.log("No breakpoints set. Use 'b <line>' to add one.");
            }
            self.log(format!("{} breakpoints set:", self.breakpoints.len()));
            return self.breakpoints.clone().into_iter().for_each(|line| self.log_line(line));
        }
        for word in &words[1..] {
            match parse_i64(word) {
                None => {
                    let shown = word.split(|byte| *byte == 0).next().unwrap_or_default();
                    self.log([b"Invalid argument:'", shown, b"'"].concat());
                }
                Some(0) => {
                    self.breakpoints.clear();
                    self.log("All breakpoints removed.");
                }
                Some(line) if line > 0 => self.add_breakpoint(line),
                Some(line) => match self.breakpoints.iter().position(|known| Some(*known) == line.checked_neg()) {
                    Some(at) => {
                        self.breakpoints.remove(at);
                        self.log("Breakpoint removed.");
                    }
                    None => self.log("No breakpoint in the specified line."),
                },
            }
        }
    }

    fn add_breakpoint(&mut self, line: i64) {
        if self.breakpoints.len() == MOST_BREAKPOINTS {
            self.log("Too many breakpoints set.");
        } else if line <= self.lines() && !self.breakpoints.contains(&line) {
            self.breakpoints.push(line);
            self.list(line, 1);
        } else {
            self.log("Wrong line number.");
        }
    }
}

const HELP: &str = "\
Redis Lua debugger help:
[h]elp               Show this help.
[s]tep               Run current line and stop again.
[n]ext               Alias for step.
[c]ontinue           Run till next breakpoint.
[l]ist               List source code around current line.
[l]ist [line]        List source code around [line].
                     line = 0 means: current position.
[l]ist [line] [ctx]  In this form [ctx] specifies how many lines
                     to show before/after [line].
[w]hole              List all source code. Alias for 'list 1 1000000'.
[p]rint              Show all the local variables.
[p]rint <var>        Show the value of the specified variable.
                     Can also show global vars KEYS and ARGV.
[b]reak              Show all breakpoints.
[b]reak <line>       Add a breakpoint to the specified line.
[b]reak -<line>      Remove breakpoint from the specified line.
[b]reak 0            Remove all breakpoints.
[t]race              Show a backtrace.
[e]val <code>        Execute some Lua code (in a different callframe).
[r]edis <cmd>        Execute a Redis command.
[m]axlen [len]       Trim logged Redis replies and Lua var dumps to len.
                     Specifying zero as <len> means unlimited.
[a]bort              Stop the execution of the script. In sync
                     mode dataset changes will be retained.

Debugger functions you can call from Lua scripts:
redis.debug()        Produce logs in the debugger console.
redis.breakpoint()   Stop execution like if there was a breakpoint in the
                     next line of code.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(reads: &[&[u8]]) -> Vec<Line> {
        let mut unread = Unread::default();
        let mut lines = Vec::new();
        for read in reads {
            unread.feed(read);
            while let Some(line) = unread.next() {
                lines.push(line);
            }
        }
        lines
    }

    #[test]
    fn commands_are_read_as_a_real_server_reads_them() {
        let command = |words: &[&[u8]]| Line::Command(words.iter().map(|word| word.to_vec()).collect());
        let broken = Line::Broken("protocol error");
        assert_eq!(lines(&[b"*1\r\n$1\r\ns\r\n*1\r\n$1\r\nc\r\n"]), [command(&[b"s"])], "the rest of a read is lost");
        assert_eq!(lines(&[b"*1\r\n", b"$1\r\ns", b"\r\n"]), [command(&[b"s"])]);
        assert_eq!(lines(&[b"junk*1x\r\n$3\r\na\0b\r\n"]), [command(&[b"a\0b"])]);
        let long = [&b"*1\r\n$1000\r\n"[..], &[b'x'; 1_000], b"\r\n", b"*1\r\n$1\r\nc\r\n"].concat();
        assert_eq!(lines(&[&long]).len(), 1, "a read is so long");
        let longer = [&b"*2\r\n$1000\r\n"[..], &[b'x'; 1_000], b"\r\n$1024\r\n", &[b'y'; 1_024], b"\r\n"].concat();
        assert_eq!(lines(&[&longer]).len(), 1);
        for bad in
            [&b"nothing"[..], b"\0*1\r\n", b"*0\r\n", b"*1025\r\n", b"*1\r\n$0\r\n\r\n", b"*1\r\nx", b"*1\r\n$1\r\nabc"]
        {
            assert_eq!(lines(&[bad]), std::slice::from_ref(&broken), "{bad:?}");
        }
        let endless = [&b"*1\r\n$10"[..], &vec![b'1'; MOST_UNREAD]].concat();
        assert_eq!(lines(&[&endless])[0], Line::Broken("max client buffer reached"));
    }

    #[test]
    fn breakpoints_are_no_more_than_64() {
        let mut debugger = Debugger::new("x\n".repeat(70).as_bytes(), Vec::new(), 0, 0);
        let words = |text: &str| text.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
        for line in 1..=65 {
            assert_eq!(debugger.command(&words(&format!("b {line}"))), Asked::Nothing);
        }
        let (sent, _) = debugger.take();
        assert!(sent.ends_with(b"*1\r\n+Too many breakpoints set.\r\n"));
    }
}

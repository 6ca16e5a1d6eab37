//! The server's log (`serverLog`): lines as a real one writes them. Nobody has a text made unless somebody keeps the lines.

use super::{Server, persistence};
use crate::node::Outbox;

/// How important a line is, in the order of `loglevel`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// `debug`
    Debug,
    /// `verbose`
    Verbose,
    /// `notice`
    Notice,
    /// `warning`
    Warning,
}

impl Level {
    /// The least important one that is written.
    fn least(word: &str) -> Level {
        match word {
            "debug" => Level::Debug,
            "verbose" => Level::Verbose,
            "warning" => Level::Warning,
            _ => Level::Notice,
        }
    }

    /// As scripts name it (`redis.LOG_DEBUG` and so on).
    pub(crate) fn of_script(number: u8) -> Level {
        match number {
            0 => Level::Debug,
            1 => Level::Verbose,
            2 => Level::Notice,
            _ => Level::Warning,
        }
    }

    fn mark(self) -> char {
        match self {
            Level::Debug => '.',
            Level::Verbose => '-',
            Level::Notice => '*',
            Level::Warning => '#',
        }
    }
}

/// Seconds since 1970 as a day of the calendar and a time, in UTC.
fn date(secs: u64) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    const DAY: u64 = 86_400;
    let (mut days, time) = (secs / DAY, secs % DAY);
    let leaps = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(leaps(year)) {
        days -= 365 + u64::from(leaps(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leaps(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    let (hours, minutes, seconds) = (time / 3_600, time / 60 % 60, time % 60);
    format!("{:02} {} {year} {hours:02}:{minutes:02}:{seconds:02}", days + 1, MONTHS[month])
}

impl Server {
    /// Writes a line to the log, if it is kept.
    #[inline]
    pub(crate) fn log(&self, out: &mut Outbox, level: Level, text: impl FnOnce() -> String) {
        if out.log.is_some() {
            self.write_log(out, level, &text());
        }
    }

    /// An important line.
    pub(crate) fn warn(&self, out: &mut Outbox, text: impl FnOnce() -> String) {
        self.log(out, Level::Warning, text);
    }

    /// A line as most are.
    pub(crate) fn notice(&self, out: &mut Outbox, text: impl FnOnce() -> String) {
        self.log(out, Level::Notice, text);
    }

    /// What a real server's logo says of it (`redisAsciiArt`), or one line where it has none. Written once it listens.
    pub(crate) fn log_logo(&self, out: &mut Outbox) {
        if out.log.is_none() {
            return;
        }
        let (port, pid) = (self.config.port, persistence::pid(self));
        if self.config.inert("always-show-logo", "no") == "no" {
            return self.notice(out, || format!("Running mode=standalone, port={port}."));
        }
        let logo =
            format!("Redis 7.0.15 (00000000/0) 64 bit\n\nRunning in standalone mode\n Port: {port}\n PID: {pid}\n");
        if let Some(lines) = &mut out.log {
            lines.push((self.init.node, logo));
        }
    }

    #[cold]
    fn write_log(&self, out: &mut Outbox, level: Level, text: &str) {
        if level < Level::least(self.config.inert("loglevel", "notice")) {
            return;
        }
        let (pid, now) = (persistence::pid(self), self.now.unix);
        let role = if self.repl.is_master() { 'M' } else { 'S' };
        let line = format!("{pid}:{role} {}.{:03} {} {text}", date(now.secs()), now.ms() % 1_000, level.mark());
        if let Some(lines) = &mut out.log {
            lines.push((self.init.node, line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        for (secs, text) in [
            (0, "01 Jan 1970 00:00:00"),
            (951_782_399, "28 Feb 2000 23:59:59"),
            (951_782_400, "29 Feb 2000 00:00:00"),
            (1_735_689_599, "31 Dec 2024 23:59:59"),
            (1_795_862_717, "28 Nov 2026 10:45:17"),
            (4_107_542_400, "01 Mar 2100 00:00:00"),
        ] {
            assert_eq!(date(secs), text);
        }
    }

    #[test]
    fn lines_are_a_real_servers() {
        let mut rig = crate::server::rig::Rig::with("", 1_795_862_717_042, 0);
        rig.ask("a", "REPLICAOF NO ONE");
        assert_eq!(rig.out.log, None, "nobody keeps them");
        rig.out.log = Some(Vec::new());
        rig.ask("a", "REPLICAOF 10.0.0.9 6379");
        rig.ask("a", "REPLICAOF NO ONE");
        let lines: Vec<String> = rig.out.log.take().expect("kept").into_iter().map(|(_, line)| line).collect();
        let pid = persistence::pid(&rig.server);
        assert!(lines[0].starts_with(&format!("{pid}:S 28 Nov 2026 10:45:17.")), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains(" * Connecting to MASTER 10.0.0.9:6379")), "{lines:?}");
        assert!(
            lines
                .iter()
                .any(|line| line.contains(":M ") && line.contains(" * MASTER MODE enabled (user request from 'id=")),
            "{lines:?}"
        );
        rig.out.log = Some(Vec::new());
        rig.ask("a", "CONFIG SET loglevel warning");
        rig.ask("a", "REPLICAOF 10.0.0.9 6379");
        assert_eq!(rig.out.log.take().expect("kept"), [], "nothing of importance");
    }
}

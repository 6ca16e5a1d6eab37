//! Threads for sockets (`io-threads`): while there is enough to write they share reading and writing, so that a turn of the
//! event loop waits for the busiest of them only. Commands are executed by the main thread all the same.

use smallvec::SmallVec;

use super::Server;
use super::session::Flags;
use crate::id::Fd;
use crate::node::Outbox;

/// Whether the threads run, and what has been read for them.
#[derive(Clone, Debug, Default)]
pub(crate) struct IoThreads {
    /// They run: since a turn in which there was enough to write (`io_threads_active`).
    pub active: bool,
    /// Sessions with input that nobody has looked at yet, and what reading it cost (`clients_pending_read`).
    read: Vec<(Fd, u64)>,
}

impl IoThreads {
    /// A session has been read.
    pub(crate) fn postpone(&mut self, fd: Fd, cost: u64) {
        self.read.push((fd, cost));
    }

    /// Whether there is input from this descriptor that nobody has looked at.
    #[must_use]
    pub(crate) fn has_read(&self, fd: Fd) -> bool {
        self.read.iter().any(|&(other, _)| other == fd)
    }
}

/// Work that is dealt out in turn, the main thread being the first.
#[derive(Debug)]
pub(crate) struct Deal {
    loads: SmallVec<[u64; 8]>,
    dealt: usize,
}

impl Deal {
    /// For so many threads.
    #[must_use]
    pub(crate) fn among(threads: u64) -> Deal {
        let threads = usize::try_from(threads.max(1)).expect("at most 128 threads");
        Deal { loads: smallvec::smallvec![0; threads], dealt: 0 }
    }

    /// The next thread does this, in so many nanoseconds.
    pub(crate) fn add(&mut self, ns: u64) {
        let thread = self.dealt % self.loads.len();
        self.loads[thread] += ns;
        self.dealt += 1;
    }

    /// Only the main thread can do this.
    pub(crate) fn add_to_main(&mut self, ns: u64) {
        self.loads[0] += ns;
    }

    /// How long everybody waits for the busiest.
    #[must_use]
    pub(crate) fn longest(&self) -> u64 {
        self.loads.iter().copied().max().unwrap_or(0)
    }
}

impl Server {
    /// Whether what comes from this descriptor is read by a thread, and looked at in the end of the turn
    /// (`postponeClientRead`).
    #[must_use]
    pub(crate) fn postpones_read(&self, fd: Fd) -> bool {
        let never = Flags::MASTER.with(Flags::REPLICA).with(Flags::BLOCKED);
        self.threads.active
            && self.config.io_threads_do_reads
            && !self.is_busy()
            && self.sessions.get(fd).is_some_and(|session| !session.flags.has(never))
    }

    /// Executes what the threads have read, the newest first (`handleClientsWithPendingReadsUsingThreads`).
    pub(crate) fn handle_pending_reads(&mut self, out: &mut Outbox) {
        let read = std::mem::take(&mut self.threads.read);
        let mut deal = Deal::among(self.config.io_threads);
        for &(_, cost) in read.iter().rev() {
            deal.add(cost);
        }
        self.meter.add(deal.longest());
        self.stats.io_reads += read.len() as u64;
        for &(fd, _) in read.iter().rev() {
            self.process_input(fd, out);
        }
    }

    /// Whether input waits for [`Server::handle_pending_reads`].
    #[must_use]
    pub(crate) fn has_pending_reads(&self) -> bool {
        !self.threads.read.is_empty()
    }

    /// Whether the threads help with so many sessions that have something to be sent; they go to sleep when there are
    /// few (`stopThreadedIOIfNeeded`).
    pub(crate) fn threads_write(&mut self, sessions: usize) -> Option<Deal> {
        let threads = self.config.io_threads;
        if threads == 1 || sessions == 0 || self.is_busy() {
            return None;
        }
        self.threads.active = sessions as u64 >= 2 * threads;
        self.threads.active.then(|| Deal::among(threads))
    }
}

#[cfg(test)]
mod tests {
    use crate::id::Fd;
    use crate::node::{Input, Node as _, Output};
    use crate::server::rig::Rig;

    const START: u64 = 1_795_000_000_000;

    /// A turn in which each of these sends a request: how long it takes in microseconds.
    fn turn(rig: &mut Rig, fds: &[Fd], request: &'static [u8]) -> u64 {
        rig.others.clear();
        rig.received.clear();
        for &fd in fds {
            rig.server.handle(rig.now, Input::Bytes { fd, data: bytes::Bytes::from_static(request) }, &mut rig.out);
        }
        rig.server.handle(rig.now, Input::LoopEnd, &mut rig.out);
        rig.collect();
        rig.others.iter().map(|output| if let Output::Busy(span) = output { span.ns() } else { 0 }).sum::<u64>() / 1_000
    }

    fn rig(conf: &str) -> (Rig, Vec<Fd>) {
        let mut rig = Rig::with(conf, START, 1_000);
        let fds = (0..16).map(|client| rig.fd(&client.to_string())).collect();
        (rig, fds)
    }

    const INCR: &[u8] = b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n";

    #[test]
    fn they_shorten_writing_and_if_asked_reading() {
        let took: Vec<u64> = ["", "io-threads 4\n", "io-threads 4\nio-threads-do-reads yes\n"]
            .into_iter()
            .map(|conf| {
                let (mut rig, fds) = rig(conf);
                turn(&mut rig, &fds, INCR);
                turn(&mut rig, &fds, INCR)
            })
            .collect();
        // Sixteen times 2.5 us of writing become four times, sixteen times 2 us of reading too.
        assert_eq!([took[0] - took[1], took[1] - took[2]], [30, 24], "{took:?}");
    }

    #[test]
    fn few_clients_let_them_sleep() {
        let (mut rig, fds) = rig("io-threads 4\nio-threads-do-reads yes\n");
        let active = |rig: &mut Rig| {
            rig.received.clear();
            rig.ask("0", "INFO server").contains("io_threads_active:1")
        };
        turn(&mut rig, &fds[..7], INCR);
        assert!(!rig.server.threads.active);
        turn(&mut rig, &fds[..8], INCR);
        assert!(active(&mut rig), "what is asked is told before the turn ends");
        assert!(!active(&mut rig));
        let stats = rig.ask("0", "INFO stats");
        assert!(stats.contains("io_threaded_reads_processed:1\r\nio_threaded_writes_processed:8\r\n"), "{stats}");
    }

    #[test]
    fn whom_they_read_is_served_newest_first() {
        let (mut rig, fds) = rig("io-threads 2\nio-threads-do-reads yes\n");
        for expected in [["1", "2", "3", "4"], ["8", "7", "6", "5"]] {
            turn(&mut rig, &fds[..4], INCR);
            let numbers = [0, 1, 2, 3].map(|client| {
                String::from_utf8(rig.take_reply(&client.to_string()))
                    .expect("digits")
                    .trim_matches([':', '\r', '\n'])
                    .to_owned()
            });
            assert_eq!(numbers, expected);
        }
    }

    #[test]
    fn input_of_who_leaves_is_executed_first() {
        let (mut rig, fds) = rig("io-threads 2\nio-threads-do-reads yes\n");
        turn(&mut rig, &fds[..4], INCR);
        let data = bytes::Bytes::from_static(INCR);
        rig.server.handle(rig.now, Input::Bytes { fd: fds[0], data }, &mut rig.out);
        rig.turn(Input::Closed { fd: fds[0], why: crate::node::CloseWhy::Eof });
        rig.received.clear();
        assert_eq!(rig.ask("1", "GET n"), "$1\r\n5\r\n");
    }
}

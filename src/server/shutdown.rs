//! SIGTERM and SHUTDOWN: waiting for replicas, saving, leaving (`prepareForShutdown`, `finishShutdown`).

use super::config::ShutdownFlags;
use super::pause::{Held, Purpose};
use super::session::Flags;
use super::{Server, persistence, replication};
use crate::id::Fd;
use crate::node::{Outbox, Signal};
use crate::resp::encode;
use crate::time::{Instant, Span};

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The process has exited.
    Exited,
    /// Replicas are waited for, or a shutdown is already under way.
    Waiting,
    /// The dataset could not be saved.
    Failed,
}

/// A shutdown that was asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shutdown {
    /// A signal that the next tick deals with (`shutdown_asap`).
    signal: Option<Signal>,
    flags: ShutdownFlags,
    /// Until when replicas are waited for, in milliseconds of the wall clock.
    deadline_ms: Option<u64>,
    /// Sessions that called SHUTDOWN and wait for it.
    pub blocked: Vec<Fd>,
    /// Behind it the process executes its program anew, after so long.
    restarts: Option<Span>,
    /// The process has exited: nothing more is done.
    pub exited: bool,
}

impl Server {
    pub(crate) fn on_signal(&mut self, signal: Signal, out: &mut Outbox) {
        let name = match signal {
            Signal::ChildKilled => return persistence::child_killed(self, out),
            Signal::Term => "SIGTERM",
            Signal::Int => "SIGINT",
        };
        self.warn(out, || format!("Received {name} scheduling shutdown..."));
        if self.shutdown.signal.is_some() && signal == Signal::Int {
            // A second interrupt leaves at once, whatever is lost.
            self.shutdown.exited = true;
            return out.exit(1);
        }
        self.shutdown.signal = Some(signal);
    }

    /// The part of a tick that deals with signals and with replicas that are waited for.
    pub(crate) fn shutdown_cron(&mut self, out: &mut Outbox) {
        match (self.shutdown.deadline_ms, self.shutdown.signal) {
            (Some(deadline), _) => {
                if self.now.unix.ms() >= deadline || !replication::replicas_lag(self) {
                    self.finish_shutdown(out);
                }
            }
            (None, Some(signal)) => {
                let flags = match signal {
                    Signal::Term => self.config.shutdown_on_sigterm,
                    Signal::Int | Signal::ChildKilled => self.config.shutdown_on_sigint,
                };
                self.begin_shutdown(flags, out);
            }
            (None, None) => {}
        }
    }

    /// When a tick has something to do here: any tick, while a shutdown is under way.
    pub(crate) fn shutdown_need(&self) -> Option<Instant> {
        (self.shutdown.signal.is_some() || self.shutdown.deadline_ms.is_some()).then_some(self.now.mono)
    }

    /// Begins to shut down; waits for lagging replicas unless told not to.
    pub(crate) fn begin_shutdown(&mut self, mut flags: ShutdownFlags, out: &mut Outbox) -> Outcome {
        if self.shutdown.deadline_ms.is_some() {
            return Outcome::Waiting;
        }
        if self.loading {
            flags.save = false;
            flags.nosave = true;
        }
        self.shutdown.flags = flags;
        self.warn(out, || "User requested shutdown...".to_owned());
        if !flags.now && self.config.shutdown_timeout != 0 && replication::replicas_lag(self) {
            let wait = self.config.shutdown_timeout.saturating_mul(1_000);
            self.shutdown.deadline_ms = Some(self.now.unix.ms().saturating_add(wait));
            if self.pause.is_off() {
                replication::request_acks(self);
            }
            self.pause(Purpose::Shutdown, Held::Writes, u64::MAX);
            self.notice(out, || "Waiting for replicas before shutting down.".to_owned());
            return Outcome::Waiting;
        }
        self.finish_shutdown(out)
    }

    fn finish_shutdown(&mut self, out: &mut Outbox) -> Outcome {
        let flags = self.shutdown.flags;
        if self.shutdown.deadline_ms.is_some() {
            replication::log_lagging(self, out);
        }
        self.kill_debugging_children(out);
        let prepared = persistence::prepare_exit(self, flags.force, out).is_ok();
        if self.shutdown.exited {
            return Outcome::Exited;
        }
        let wanted = flags.save || !self.config.save.is_empty() && !flags.nosave;
        if wanted && prepared {
            self.notice(out, || "Saving the final RDB snapshot before exiting.".to_owned());
        }
        if !prepared || wanted && persistence::save(self, out).is_err() && !flags.force {
            if prepared {
                self.warn(out, || "Error trying to save the DB, can't exit.".to_owned());
            } else {
                self.warn(out, || "Writing initial AOF, can't exit.".to_owned());
            }
            self.warn(out, || "Errors trying to shut down the server. Check the logs for more information.".to_owned());
            self.cancel_shutdown();
            return Outcome::Failed;
        }
        // Replicas get what can still be written; nobody else does.
        let replicas: Vec<Fd> = self
            .sessions
            .iter()
            .filter(|session| session.flags.has(Flags::REPLICA))
            .map(|session| session.fd)
            .collect();
        out.busy(self.meter.take());
        for fd in replicas {
            if let Some(session) = self.sessions.get_mut(fd) {
                session.flush(out);
                replication::flush(self, fd, out);
            }
        }
        self.warn(out, || "Redis is now ready to exit, bye bye...".to_owned());
        self.shutdown.exited = true;
        match self.shutdown.restarts {
            Some(after) => out.restart(after),
            None => out.exit(0),
        }
        Outcome::Exited
    }

    /// The process executes its program anew, after a proper end if it is to have one. False if it couldn't have it: then
    /// the process goes on (`restartServer`).
    pub(crate) fn restart(&mut self, gracefully: bool, after: Span, out: &mut Outbox) -> bool {
        if !gracefully {
            self.shutdown.exited = true;
            out.restart(after);
            return true;
        }
        let restarts = self.shutdown.restarts.replace(after);
        let flags = ShutdownFlags { now: true, ..ShutdownFlags::default() };
        let ended = self.begin_shutdown(flags, out) == Outcome::Exited;
        if !ended {
            self.shutdown.restarts = restarts;
            self.warn(out, || "Can't restart: error preparing for shutdown".to_owned());
        }
        ended
    }

    /// Goes on as if nothing had been asked for; those who asked are told.
    fn cancel_shutdown(&mut self) {
        let blocked = std::mem::take(&mut self.shutdown).blocked;
        for fd in blocked {
            if let Some(session) = self.sessions.get_mut(fd) {
                encode::error(session.reply.tail(), "ERR Errors trying to SHUTDOWN. Check logs.");
                self.unblock(fd);
            }
        }
        self.unpause(Purpose::Shutdown);
    }

    /// SHUTDOWN ABORT; false when there is nothing to abort.
    pub(crate) fn abort_shutdown(&mut self, out: &mut Outbox) -> bool {
        if self.shutdown.deadline_ms.is_none() && self.shutdown.signal.is_none() {
            return false;
        }
        self.cancel_shutdown();
        self.notice(out, || "Shutdown manually aborted.".to_owned());
        true
    }

    /// How long replicas are still waited for, for INFO.
    #[must_use]
    pub(crate) fn shutdown_in(&self) -> Option<Span> {
        self.shutdown.deadline_ms.map(|deadline| Span::from_ms(deadline.saturating_sub(self.now.unix.ms())))
    }
}

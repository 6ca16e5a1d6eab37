//! Notification and reconfiguration scripts: the queue of `sentinelScheduleScriptExecution`. A script runs for a
//! moment and succeeds; what it would do is outside of the simulation, that it ran is in the trace.

use std::collections::VecDeque;
use std::sync::Arc;

use super::address::Address;
use super::down::NEVER;
use super::instances::Id;
use super::{Cx, Ms, Sentinel, Timing};
use crate::time::Span;
use crate::trace::Kind;
use crate::trace::event::{SentinelEvent, SentinelEventName};

/// `SENTINEL_SCRIPT_MAX_QUEUE`.
const MAX_QUEUE: usize = 256;
/// `SENTINEL_SCRIPT_MAX_RUNNING`.
const MAX_RUNNING: usize = 16;
/// How long a script runs.
const RUN_TIME: Span = Span::from_ms(10);

/// One script to run (`sentinelScriptJob`).
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) argv: Vec<Arc<str>>,
    /// Its process; 0: not running.
    pub(super) pid: u64,
    pub(super) start_time: Ms,
    pub(super) retry_num: u32,
    ended: bool,
}

/// Scripts that run or wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Scripts {
    pub(super) queue: VecDeque<Job>,
    last_pid: u64,
}

impl Scripts {
    /// Queues a script with its arguments; the oldest that doesn't run goes when there are too many.
    pub(super) fn add(&mut self, argv: Vec<Arc<str>>) {
        self.queue.push_back(Job { argv, pid: 0, start_time: 0, retry_num: 0, ended: false });
        if self.queue.len() > MAX_QUEUE
            && let Some(oldest) = self.queue.iter().position(|job| job.pid == 0)
        {
            self.queue.remove(oldest);
        }
    }

    pub(super) fn running(&self) -> usize {
        self.queue.iter().filter(|job| job.pid != 0).count()
    }

    /// When a tick has something to do with scripts.
    pub(super) fn due(&self, timing: &Timing) -> Ms {
        let room = self.running() < MAX_RUNNING;
        self.queue
            .iter()
            .map(|job| match job {
                Job { ended: true, .. } => 0,
                Job { pid: 0, .. } if room => 0,
                Job { pid: 0, .. } => NEVER,
                Job { start_time, .. } => start_time + timing.script_max_runtime + 1,
            })
            .min()
            .unwrap_or(NEVER)
    }

    /// A script's process ended.
    pub(super) fn ended(&mut self, pid: u64) {
        if let Some(job) = self.queue.iter_mut().find(|job| job.pid == pid) {
            job.ended = true;
        }
    }
}

impl Sentinel {
    /// The clients' reconfiguration script, if there is one (`sentinelCallClientReconfScript`).
    pub(super) fn reconfig_script(&mut self, master: Id, role: &str, from: &Address, to: &Address) {
        let Some(path) = self.group(master).client_reconfig_script.clone() else { return };
        let port = |addr: &Address| -> Arc<str> { addr.port.to_string().into() };
        let argv = vec![
            path,
            self.at(master).name.clone(),
            role.into(),
            "start".into(),
            self.announced(from).clone(),
            port(from),
            self.announced(to).clone(),
            port(to),
        ];
        self.scripts.add(argv);
    }

    /// Starts what waits and takes note of what ended: the last part of a tick.
    pub(super) fn scripts_tick(&mut self, cx: &mut Cx<'_>) {
        if self.scripts.queue.is_empty() {
            return;
        }
        let mut running = self.scripts.running();
        for index in 0..self.scripts.queue.len() {
            if running == MAX_RUNNING {
                break;
            }
            if self.scripts.queue[index].pid != 0 {
                continue;
            }
            self.scripts.last_pid += 1;
            let pid = self.scripts.last_pid;
            let job = &mut self.scripts.queue[index];
            (job.pid, job.start_time) = (pid, cx.ms);
            job.retry_num += 1;
            let (path, arguments) = (Arc::clone(&job.argv[0]), job.argv[1..].join(" ").into());
            running += 1;
            cx.out.job(pid, RUN_TIME);
            cx.out.note(Kind::Sentinel(SentinelEvent::Script { path, arguments }));
            self.say_script(cx, SentinelEventName::ScriptChild, pid.to_string());
        }
        while let Some(index) = self.scripts.queue.iter().position(|job| job.ended) {
            let job = self.scripts.queue.remove(index).expect("it was just found");
            self.say_script(cx, SentinelEventName::ScriptChildEnded, format!("{} 0 0", job.pid));
        }
        for index in 0..self.scripts.queue.len() {
            let job = &self.scripts.queue[index];
            if job.pid != 0 && cx.ms - job.start_time > self.timing.script_max_runtime {
                let (path, pid) = (job.argv[0].clone(), job.pid);
                let text = format!("{path} {pid}");
                self.say_bare(
                    cx,
                    SentinelEventName::ScriptTimeout,
                    None,
                    crate::trace::event::Detail::Text(text.into()),
                );
                cx.out.kill_job(pid);
                self.scripts.ended(pid);
            }
        }
    }
}

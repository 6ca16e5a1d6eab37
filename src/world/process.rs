//! A process around its node: event-loop turns, busy time, pauses, descriptors, lives and deaths.

use std::collections::VecDeque;

use bytes::Bytes;

use super::World;
use super::cpu::UNSLOWED;
use super::disk::{Asked, Disk};
use super::net::{Alone, Arrived, Caller, Listener, Sock, What};
use super::queue::Due;
use crate::id::{EventId, Fd, MachineId, NodeId};
use crate::node::{DiskOp, FdTable, Input, Node, Outbox, Output, Short};
use crate::time::{Instant, Span};
use crate::trace::event::WorldEvent;
use crate::trace::{Kind, Via};

/// Turns without input of one process at one instant before it counts as broken: a node whose `wake_at` stays in the past.
const TURNS_MAX: u32 = 1_000_000;

/// Whether a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Down,
    Up,
    /// Stopped by a signal; the kernel goes on receiving for it.
    Paused,
}

/// Where in a turn of its event loop a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Waiting in `epoll_wait`.
    Idle,
    /// Inputs of this turn are left: [`Process::inputs_left`].
    Inputs,
    /// Timers are next.
    Timers,
    /// `beforeSleep` is next.
    LoopEnd,
    /// The message of a turn that went the short way leaves next: [`Process::rest`].
    Reply,
    /// Only the effects of what was done are left.
    Over,
}

/// An effect that waits for the end of a busy span.
#[derive(Clone, Debug)]
enum Effect {
    Output(Output),
    /// The end of an fsync that the main thread waited for: so much of the file is durable.
    Synced(std::sync::Arc<str>, u64),
}

/// What is left of a turn that went the short way when its answer is due.
#[derive(Clone, Debug)]
pub(super) struct Rest {
    pub(super) fd: Fd,
    pub(super) message: Short,
    pub(super) cause: EventId,
    /// How long the main thread is occupied then.
    pub(super) busy_after: Span,
}

/// One process and the kernel's side of it. What every turn looks at comes first and fills one cache line.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct Process {
    pub(super) node: Option<Box<dyn Node>>,
    /// World time of its next timer.
    pub(super) wake: Instant,
    /// The same by its own clock.
    pub(super) wake_mono: Instant,
    /// The main thread is occupied up to here. A process that is idle before has only that to wait for.
    pub(super) busy_until: Instant,
    /// Its newest event, which its timers are caused by.
    pub(super) newest: EventId,
    /// World time of the wake in the queue; [`Instant::NEVER`] if there is none.
    pub(super) wake_queued: Instant,
    pub(super) machine: MachineId,
    pub(super) state: State,
    pub(super) stage: Stage,
    /// Call it though no timer is due: a clock was touched.
    pub(super) wake_anyway: bool,
    /// Its CPU is as fast as the table of costs says.
    pub(super) unslowed: bool,
    /// Its CPU's slowness in thousandths: the machine's and that of faults.
    pub(super) cpu_milli: u64,
    /// Which queued continuation is meant.
    pub(super) epoch: u32,
    /// How often it was started.
    pub(super) incarnation: u32,
    /// It doesn't run because it is about to execute its own program anew.
    returns: bool,
    /// How many faults have it paused.
    pub(super) pauses: u32,
    /// In a box because the outbox borrows it for each call.
    fds: Box<FdTable>,
    sockets: Vec<Option<Sock>>,
    /// How many inputs of this turn are left.
    inputs_left: usize,
    /// What is left of a turn that went the short way; its memory is used again.
    pub(super) rest: Option<Box<Rest>>,
    /// Effects that come after what occupies the main thread, with their causes.
    pending: VecDeque<(Effect, EventId)>,
    /// What the inputs of this turn were caused by, for its end.
    turn_cause: (EventId, Via),
    jobs: Vec<u64>,
    /// Turns at this instant for which nothing had arrived.
    turns: (Instant, u32),
}

impl Process {
    /// Whether it has a job in the background.
    pub(super) fn works_in_background(&self) -> bool {
        !self.jobs.is_empty()
    }

    pub(super) fn new(machine: MachineId, cpu_milli: u32) -> Process {
        Process {
            node: None,
            wake: Instant::NEVER,
            wake_mono: Instant::NEVER,
            busy_until: Instant::ZERO,
            newest: EventId::NONE,
            unslowed: cpu_milli == UNSLOWED,
            cpu_milli: u64::from(cpu_milli),
            machine,
            state: State::Down,
            stage: Stage::Idle,
            wake_anyway: false,
            wake_queued: Instant::NEVER,
            epoch: 0,
            incarnation: 0,
            returns: false,
            pauses: 0,
            fds: Box::default(),
            sockets: Vec::new(),
            inputs_left: 0,
            rest: None,
            pending: VecDeque::new(),
            turn_cause: (EventId::NONE, Via::World),
            jobs: Vec::new(),
            turns: (Instant::ZERO, 0),
        }
    }

    fn set_socket(&mut self, fd: Fd, sock: Option<Sock>) {
        if self.sockets.len() <= fd.index() {
            self.sockets.resize(fd.index() + 1, None);
        }
        self.sockets[fd.index()] = sock;
    }

    pub(super) fn sock(&self, fd: Fd) -> Sock {
        let sock = self.sockets.get(fd.index()).copied().flatten();
        sock.expect("a node uses only descriptors that it has")
    }

    /// Whether it would begin a turn at once if something arrived.
    #[inline(always)]
    pub(super) fn idle(&self, now: Instant) -> bool {
        self.state == State::Up && self.stage == Stage::Idle && self.busy_until <= now
    }

    #[inline]
    pub(super) fn node(&mut self) -> &mut dyn Node {
        &mut **self.node.as_mut().expect("a running process has a node")
    }

    /// Remembers what its node's call has ended with.
    #[inline]
    fn called(&mut self, out: &Outbox, via: Via) {
        self.turn_cause = (out.cause(), via);
        let newest = out.newest_of_turn();
        if newest != EventId::NONE {
            self.newest = newest;
        }
    }
}

impl World {
    /// Starts a node's process.
    pub(super) fn boot(&mut self, id: NodeId, cause: EventId, via: Via) {
        let now = self.now;
        let process = &mut self.processes[id.index()];
        assert!(process.state == State::Down, "a process is started when it doesn't run");
        let (machine, unslowed, cpu_milli) = (process.machine, process.unslowed, process.cpu_milli);
        *process = Process {
            incarnation: process.incarnation + 1,
            unslowed,
            cpu_milli,
            epoch: process.epoch + 1,
            wake_queued: process.wake_queued,
            state: State::Up,
            stage: Stage::LoopEnd,
            ..Process::new(machine, 0)
        };
        let incarnation = process.incarnation;
        let started = self.out.tracer.record(Some(id), cause, via, Kind::World(WorldEvent::Started { incarnation }));
        let init = self.init(id, incarnation);
        let mut node = (self.factory)(&self.scenario, init);
        let image = self.disks[id.index()].image();
        let process = &mut self.processes[id.index()];
        (process.newest, process.turn_cause) = (started, (started, Via::Start));
        self.out.begin(id, started, Via::Start);
        std::mem::swap(&mut self.out.fds, &mut process.fds);
        node.start(self.clocks[machine.index()].now(now), &image, &mut self.out);
        std::mem::swap(&mut self.out.fds, &mut process.fds);
        process.node = Some(node);
        if self.out.newest() != EventId::NONE {
            process.newest = self.out.newest();
        }
        self.inboxes.boxes[id.index()].clear();
        if self.after_call(id) {
            self.run(id);
        }
    }

    /// Something has arrived for the process, or a timer is due: begins a turn unless it can't.
    pub(super) fn turn(&mut self, id: NodeId) {
        let process = &mut self.processes[id.index()];
        if process.state != State::Up || process.stage != Stage::Idle {
            return;
        }
        let waiting = self.inboxes.boxes[id.index()].len();
        if waiting == 0 && process.wake > self.now && !process.wake_anyway {
            return;
        }
        if process.busy_until > self.now {
            let until = process.busy_until;
            process.stage = Stage::Over;
            return self.occupied(id, until);
        }
        if process.turns.0 != self.now || waiting > 0 {
            process.turns = (self.now, 0);
        } else {
            process.turns.1 += 1;
            assert!(process.turns.1 < TURNS_MAX, "{id:?} asks to be woken for ever at one instant");
        }
        (process.stage, process.inputs_left) = (Stage::Inputs, waiting);
        process.turn_cause = (process.newest, Via::Timer);
        self.run(id);
    }

    /// Goes on with the turn until it is over or the main thread is occupied.
    fn run(&mut self, id: NodeId) {
        std::mem::swap(&mut self.out.fds, &mut self.processes[id.index()].fds);
        self.run_stages(id);
        std::mem::swap(&mut self.out.fds, &mut self.processes[id.index()].fds);
    }

    fn run_stages(&mut self, id: NodeId) {
        if !self.settle_effects(id, true) {
            return;
        }
        let index = id.index();
        let mut stage = self.processes[index].stage;
        if stage == Stage::Inputs {
            while self.processes[index].inputs_left > 0 {
                self.processes[index].inputs_left -= 1;
                let arrived = self.inboxes.boxes[index].pop_front().expect("counted when the turn began");
                if !self.take(id, arrived) {
                    return;
                }
            }
            stage = Stage::Timers;
        }
        self.run_rest(id, stage);
    }

    /// A turn for bytes that are all there is to do in the world at this instant: the same as a turn for an inbox
    /// that holds nothing else, without the way through it.
    #[inline(never)]
    pub(super) fn turn_for(&mut self, alone: Alone) {
        let Alone { owner, fd, data, cause } = alone;
        let id = NodeId(owner);
        let now = self.now;
        let process = &mut self.processes[id.index()];
        std::mem::swap(&mut self.out.fds, &mut process.fds);
        let mut stage = Stage::Timers;
        if process.wake > now && !process.wake_anyway {
            self.out.begin(id, cause, Via::Message);
            let clock = self.clocks[process.machine.index()].now(now);
            if process.node().turn(clock, fd, data, &mut self.out) {
                stage = Stage::Over;
            }
            process.stage = stage;
            process.called(&self.out, Via::Message);
            if self.after_call(id) {
                self.run_rest(id, stage);
            }
        } else {
            process.stage = stage;
            if self.call(id, Input::Bytes { fd, data }, cause, Via::Message) {
                self.run_rest(id, stage);
            }
        }
        std::mem::swap(&mut self.out.fds, &mut self.processes[id.index()].fds);
    }

    /// The node's turn is over but for its outputs.
    pub(super) fn end_turn(&mut self, id: NodeId) {
        self.processes[id.index()].stage = Stage::Over;
        if self.after_call(id) {
            self.run_rest(id, Stage::Over);
        }
    }

    /// What follows the inputs of a turn.
    #[inline]
    pub(super) fn run_rest(&mut self, id: NodeId, stage: Stage) {
        if stage != Stage::Over && !self.run_end(id, stage) {
            return;
        }
        let index = id.index();
        self.processes[index].stage = Stage::Idle;
        self.refresh_wake(id);
        if self.processes[index].wake_anyway || !self.inboxes.boxes[index].is_empty() {
            self.inboxes.mark(id.0);
        }
    }

    /// Timers and the end of the turn. False if it is interrupted.
    fn run_end(&mut self, id: NodeId, mut stage: Stage) -> bool {
        let index = id.index();
        if stage == Stage::Timers {
            let process = &mut self.processes[index];
            stage = Stage::LoopEnd;
            process.stage = stage;
            if process.wake <= self.now || process.wake_anyway {
                process.wake_anyway = false;
                let cause = process.newest;
                if !self.call(id, Input::Wake, cause, Via::Timer) {
                    return false;
                }
            }
        }
        if stage == Stage::LoopEnd {
            let process = &mut self.processes[index];
            process.stage = Stage::Over;
            let (cause, via) = process.turn_cause;
            return self.call(id, Input::LoopEnd, cause, via);
        }
        true
    }

    /// Gives an arrival to the node, unless its connection was closed meanwhile. False if the turn is interrupted.
    fn take(&mut self, id: NodeId, arrived: Arrived) -> bool {
        let Arrived { sock, what, cause, via } = arrived;
        if let (What::Bytes(_), Some(sock)) = (&what, sock) {
            let What::Bytes(data) = what else { unreachable!("looked at above") };
            let (net, mut wire) = self.wire();
            let Some(fd) = net.taken(sock, data.len(), &mut wire) else { return true };
            return self.call(id, Input::Bytes { fd, data }, cause, via);
        }
        match self.take_other(id, sock, what, cause) {
            Some(input) => self.call(id, input, cause, via),
            None => true,
        }
    }

    /// The same for what is rarer than bytes.
    fn take_other(&mut self, id: NodeId, sock: Option<Sock>, what: What, cause: EventId) -> Option<Input> {
        let Some(sock) = sock else {
            return Some(match what {
                What::DiskDone { op, ok } => Input::DiskDone { op, ok },
                What::JobDone { job } => {
                    let jobs = &mut self.processes[id.index()].jobs;
                    let place = jobs.iter().position(|&running| running == job)?;
                    jobs.swap_remove(place);
                    Input::JobDone { job }
                }
                What::Files(files) => Input::Files(files),
                What::Signal(signal) => Input::Signal(signal),
                What::Accepted
                | What::Connected
                | What::Refused(_)
                | What::Bytes(_)
                | What::Closed(_)
                | What::Writable => unreachable!("these are about a connection"),
            });
        };
        let about = self.net.taking(sock)?;
        let fd = about.fd;
        Some(match what {
            What::Accepted => {
                let fd = self.out.fds.open();
                self.processes[id.index()].set_socket(fd, Some(sock));
                self.net.attach(sock, fd.0);
                Input::Accepted { fd, from: about.peer, local: about.local }
            }
            What::Connected => Input::Connected { fd, local: about.local },
            What::Refused(why) => {
                self.detach(id, fd, cause);
                Input::Refused { fd, why }
            }
            What::Closed(why) => {
                self.detach(id, fd, cause);
                Input::Closed { fd, why }
            }
            What::Writable => Input::Writable { fd, room: self.net.room(sock) },
            What::Bytes(_) | What::DiskDone { .. } | What::JobDone { .. } | What::Files(_) | What::Signal(_) => {
                unreachable!("these are about no connection, or are taken directly")
            }
        })
    }

    /// The process learns that a connection has ended: its descriptor is closed for it.
    fn detach(&mut self, id: NodeId, fd: Fd, cause: EventId) {
        self.out.fds.close(fd);
        let process = &mut self.processes[id.index()];
        let sock = process.sock(fd);
        process.set_socket(fd, None);
        let (net, mut wire) = self.wire();
        net.close(sock, cause, &mut wire);
    }

    /// One call of the node, whose descriptors the outbox has. False if its effects interrupt the turn: the main
    /// thread is occupied for longer than nothing else happens, or the process is gone.
    fn call(&mut self, id: NodeId, input: Input, cause: EventId, via: Via) -> bool {
        let process = &mut self.processes[id.index()];
        let now = self.clocks[process.machine.index()].now(self.now);
        self.out.begin(id, cause, via);
        process.node().handle(now, input, &mut self.out);
        process.called(&self.out, via);
        self.after_call(id)
    }

    /// Puts the outputs of a call into effect. What follows one that occupies the main thread for longer than nothing
    /// else happens has to wait. False if so, or if the process is gone.
    #[inline]
    fn after_call(&mut self, id: NodeId) -> bool {
        self.out.outputs.is_empty() || self.put_into_effect(id)
    }

    fn put_into_effect(&mut self, id: NodeId) -> bool {
        for index in 0..self.out.outputs.len() {
            let last = index + 1 == self.out.outputs.len();
            if self.effect_of(id, index) && !self.settle_effects(id, last) {
                self.put_off(id, index + 1);
                return false;
            }
        }
        self.out.outputs.clear();
        true
    }

    /// The outputs from this one on wait for the main thread to be free, if the process still is.
    #[cold]
    fn put_off(&mut self, id: NodeId, from: usize) {
        let mut outputs = std::mem::take(&mut self.out.outputs);
        let process = &mut self.processes[id.index()];
        for (index, output) in outputs.drain(..).enumerate().skip(from) {
            if process.state != State::Down {
                process.pending.push_back((Effect::Output(output), self.out.cause_of(index)));
            }
        }
        self.out.outputs = outputs;
    }

    /// Puts waiting effects into effect. False if the main thread is occupied again, or the process is gone. `last`: no
    /// other effects follow. When the turn is over, too, the process just rests until its main thread is free: only an
    /// arrival or a timer before that needs to know.
    #[inline]
    fn settle_effects(&mut self, id: NodeId, last: bool) -> bool {
        loop {
            let process = &self.processes[id.index()];
            if process.state == State::Down {
                return false;
            }
            let rests = last && process.stage == Stage::Over && process.pending.is_empty();
            if process.busy_until > self.now && !rests && !self.pass_time(id) {
                return false;
            }
            if self.processes[id.index()].pending.is_empty() {
                return true;
            }
            match self.processes[id.index()].pending.pop_front() {
                None => return true,
                Some((Effect::Output(output), cause)) => {
                    self.effect(id, output, cause);
                }
                Some((Effect::Synced(file, len), _)) => self.synced(id, &file, len),
            }
        }
    }

    /// The main thread is free again.
    pub(super) fn on_continue(&mut self, id: NodeId, epoch: u32) {
        let process = &self.processes[id.index()];
        if process.epoch == epoch && process.state == State::Up {
            self.go_on(id);
        }
    }

    fn go_on(&mut self, id: NodeId) {
        if self.processes[id.index()].stage == Stage::Reply { self.reply(id) } else { self.run(id) }
    }

    /// The output at `index` takes effect where it lies; what is left of it is nothing. True if the main thread is
    /// occupied from now on, or the process is gone.
    #[inline(always)]
    fn effect_of(&mut self, id: NodeId, index: usize) -> bool {
        let cause = self.out.cause_of(index);
        match &mut self.out.outputs[index] {
            Output::Send { fd, data } => {
                let (fd, data) = (*fd, std::mem::take(data));
                self.send(id, fd, data, cause);
                false
            }
            &mut Output::Busy(span) => self.occupy(id, span),
            rarer @ (Output::Listen { .. }
            | Output::Connect { .. }
            | Output::AwaitWritable { .. }
            | Output::Close { .. }
            | Output::Disk(_)
            | Output::ReadDisk
            | Output::Job { .. }
            | Output::KillJob { .. }
            | Output::Exit { .. }
            | Output::Restart { .. }) => {
                let rarer = std::mem::replace(rarer, Output::Busy(Span::ZERO));
                self.effect(id, rarer, cause)
            }
        }
    }

    #[inline(always)]
    fn send(&mut self, id: NodeId, fd: Fd, data: Bytes, cause: EventId) {
        let sock = self.processes[id.index()].sock(fd);
        let (net, mut wire) = self.wire();
        net.send(sock, data, cause, &mut wire);
    }

    /// One output takes effect. True if the main thread is occupied from now on, or the process is gone.
    #[inline(never)]
    fn effect(&mut self, id: NodeId, output: Output, cause: EventId) -> bool {
        let now = self.now;
        let process = &mut self.processes[id.index()];
        match output {
            Output::Send { fd, data } => self.send(id, fd, data, cause),
            Output::Busy(span) => return self.occupy(id, span),
            Output::Connect { fd, to } => {
                let caller =
                    Caller { owner: id.0, incarnation: process.incarnation, number: fd.0, machine: process.machine };
                let (net, mut wire) = self.wire();
                let sock = net.connect(caller, to, cause, &mut wire);
                self.processes[id.index()].set_socket(fd, Some(sock));
            }
            Output::Close { fd } => {
                let sock = process.sock(fd);
                process.set_socket(fd, None);
                let (net, mut wire) = self.wire();
                net.close(sock, cause, &mut wire);
            }
            Output::AwaitWritable { fd } => {
                let sock = process.sock(fd);
                let (net, mut wire) = self.wire();
                net.await_writable(sock, &mut wire);
            }
            Output::Listen { port } => {
                let listener = Listener { owner: id.0, incarnation: process.incarnation };
                self.net.listen(process.machine, port, listener);
            }
            Output::Job { job, takes } => {
                process.jobs.push(job);
                let due = Due::JobDone { node: id.0, incarnation: process.incarnation, job };
                self.queue.push(now + process.slowed(takes), due);
            }
            Output::KillJob { job } => process.jobs.retain(|&running| running != job),
            Output::Disk(request) => {
                self.disk_request(id, request.op, request.done);
                return self.processes[id.index()].busy_until > now;
            }
            Output::ReadDisk => {
                let what = What::Files(self.disks[id.index()].image());
                self.inboxes.push(id.0, Arrived { sock: None, what, cause, via: Via::Completion });
            }
            Output::Exit { code } => {
                self.die(id, &format!("exit {code}"), cause, Via::World);
                return true;
            }
            Output::Restart { after } => {
                self.die(id, "restart", cause, Via::World);
                let process = &mut self.processes[id.index()];
                process.returns = true;
                self.queue.push(now + after, Due::Return { node: id.0, incarnation: process.incarnation });
                return true;
            }
        }
        false
    }

    fn disk_request(&mut self, id: NodeId, op: DiskOp, done: Option<u64>) {
        let process = &mut self.processes[id.index()];
        let machine = process.machine;
        let asked = Asked { now: self.now, machine, background: done.is_some() };
        let takes = self.disks[id.index()].latency(asked, &op, &mut self.storage);
        match done {
            None => {
                process.busy_until = self.now + takes;
                if takes > Span::ZERO
                    && let Some(node) = &mut process.node
                {
                    node.waits_for_disk(&op, takes);
                }
                if let DiskOp::Fsync { file } = op {
                    let len = self.disks[id.index()].len(&file);
                    if takes == Span::ZERO {
                        self.synced(id, &file, len);
                    } else {
                        process.pending.push_front((Effect::Synced(file, len), EventId::NONE));
                    }
                } else {
                    self.on_disk(id, |disk| disk.apply(op));
                }
                if takes > Span::ZERO {
                    self.stall(id, true);
                }
            }
            Some(number) => {
                let at = self.disks[id.index()].submit(self.now, takes, op, number, process.newest);
                self.queue.push(at, Due::DiskDone { node: id.0, incarnation: process.incarnation });
            }
        }
    }

    /// An fsync that the main thread waited for has ended.
    fn synced(&mut self, id: NodeId, file: &str, len: u64) {
        if !self.storage.loses_syncs(self.processes[id.index()].machine) {
            self.disks[id.index()].synced(file, len);
        }
    }

    /// Does something to a node's files. Where room is short, what they take of it is counted.
    fn on_disk<T>(&mut self, id: NodeId, act: impl FnOnce(&mut Disk) -> T) -> T {
        let disk = &mut self.disks[id.index()];
        if self.out.troubles.of(id).room.is_none() {
            return act(disk);
        }
        let before = disk.total();
        let result = act(disk);
        let after = disk.total();
        let machine = self.processes[id.index()].machine;
        self.storage.resized(machine, before, after);
        self.refresh_troubles(machine);
        result
    }

    /// The oldest background operation of a node's disk is done.
    pub(super) fn on_disk_done(&mut self, id: NodeId, incarnation: u32) {
        let process = &self.processes[id.index()];
        if process.incarnation != incarnation || process.state == State::Down {
            return;
        }
        let (trouble, loses) = (self.storage.trouble(process.machine), self.storage.loses_syncs(process.machine));
        let (op, cause, ok) = self.on_disk(id, |disk| disk.complete(trouble, loses));
        let what = What::DiskDone { op, ok };
        self.inboxes.push(id.0, Arrived { sock: None, what, cause, via: Via::Completion });
    }

    /// A background job is done.
    pub(super) fn on_job_done(&mut self, id: NodeId, incarnation: u32, job: u64) {
        let process = &self.processes[id.index()];
        if process.incarnation == incarnation && process.jobs.contains(&job) {
            let cause = process.newest;
            let what = What::JobDone { job };
            self.inboxes.push(id.0, Arrived { sock: None, what, cause, via: Via::Completion });
        }
    }

    /// SIGSTOP. Its kernel goes on.
    pub(super) fn pause(&mut self, id: NodeId, cause: EventId) {
        let process = &mut self.processes[id.index()];
        if process.state == State::Down {
            return;
        }
        process.pauses += 1;
        if process.state == State::Up {
            process.state = State::Paused;
            process.epoch += 1;
            // From here until it goes on this holds what is left of the busy span.
            process.busy_until = Instant(process.busy_until.since(self.now).0);
            process.newest = self.out.tracer.record(Some(id), cause, Via::Fault, Kind::World(WorldEvent::Paused));
            self.stall(id, false);
        }
    }

    /// SIGCONT, once no fault has it paused: everything that waits is taken in the next turn.
    pub(super) fn resume(&mut self, id: NodeId, cause: EventId) {
        let process = &mut self.processes[id.index()];
        if process.state != State::Paused {
            return;
        }
        process.pauses -= 1;
        if process.pauses > 0 {
            return;
        }
        process.state = State::Up;
        process.busy_until = self.now + Span(process.busy_until.0);
        // One that only rested finds out when it is called.
        let busy = process.busy_until > self.now && process.stage != Stage::Idle;
        let resumed = self.out.tracer.record(Some(id), cause, Via::Fault, Kind::World(WorldEvent::Resumed));
        process.newest = resumed;
        process.wake_anyway = true;
        if busy {
            process.epoch += 1;
            self.queue.push(process.busy_until, Due::Continue { node: id.0, epoch: process.epoch });
        } else if process.stage != Stage::Idle {
            self.go_on(id);
        }
        self.inboxes.mark(id.0);
    }

    /// A process that was about to execute its own program anew does so, unless something has ended it before.
    pub(super) fn on_return(&mut self, id: NodeId, incarnation: u32) {
        let process = &mut self.processes[id.index()];
        if process.incarnation == incarnation && process.state == State::Down && std::mem::take(&mut process.returns) {
            let cause = process.newest;
            self.boot(id, cause, Via::World);
        }
    }

    /// The process ends: its kernel closes its sockets; what it wrote stays on its disk.
    pub(super) fn die(&mut self, id: NodeId, how: &str, cause: EventId, via: Via) {
        let process = &mut self.processes[id.index()];
        if process.state == State::Down {
            process.returns = false;
            return;
        }
        let died = self.out.tracer.record(Some(id), cause, via, Kind::World(WorldEvent::Died { how: how.into() }));
        let machine = process.machine;
        process.state = State::Down;
        process.node = None;
        process.newest = died;
        process.pauses = 0;
        process.stage = Stage::Idle;
        process.pending.clear();
        process.jobs.clear();
        process.sockets.clear();
        process.busy_until = Instant::ZERO;
        (process.wake, process.wake_mono) = (Instant::NEVER, Instant::NEVER);
        process.epoch += 1;
        self.disks[id.index()].killed();
        self.inboxes.boxes[id.index()].clear();
        let (net, mut wire) = self.wire();
        net.close_all(id.0, machine, died, &mut wire);
    }
}

#[cfg(test)]
mod tests {
    use super::Process;

    #[test]
    fn what_every_turn_looks_at_is_one_line() {
        assert!(std::mem::offset_of!(Process, cpu_milli) <= 64);
    }
}

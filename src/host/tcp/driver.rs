//! The loop: rounds of what has come, what is due, and what goes out.

use std::rc::Rc;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant as Deadline, sleep_until};

use super::belongings::Belongings;
use super::clock::Pace;
use super::connections::Shared;
use super::control::{self, Desk};
use super::listeners::Listener;
use super::{Hear, Heard, Options, Place, Trouble, places};
use crate::host::{Entry, Session};
use crate::node::CloseWhy;
use crate::time::Instant;
use crate::trace::Event;
use crate::world::{Life, Outside};

/// Simulated time may be so far ahead of real time, in nanoseconds of the latter: sleeps are a millisecond long at least,
/// and what is due within one happens now rather than late.
const AHEAD: u64 = 1_000_000;
/// How long it sleeps while nobody is connected.
const DOZE: u64 = 50_000_000;
/// So much of what it has missed it catches up with at a time.
const SLICE: u64 = 20_000_000;
/// And so long, in real time, until sockets are looked at again though it is still behind.
const PATIENCE: Duration = Duration::from_millis(20);
/// What takes longer than this in real time, while a process is at something that takes long in simulated time too, is no part
/// of the latter.
const DEAR: Duration = Duration::from_millis(10);
/// So long may processes take to end.
const GRACE: Duration = Duration::from_secs(10);

/// A served deployment.
pub(super) struct Driver<'a> {
    session: Session,
    hear: Hear<'a>,
    places: Vec<Place>,
    listeners: Vec<Listener>,
    shared: Rc<Shared>,
    desk: Desk,
    pace: Pace,
    /// Parties that had closed their end when the last round began: they are told apart from those whose last bytes have
    /// only just gone in, so that replies to these still leave.
    ending: Vec<u32>,
    out: Vec<Outside>,
    presence: Option<u64>,
    stop_at: Option<Deadline>,
    belongings: Belongings,
    /// The trouble with these that was last spoken of.
    spoken: Option<String>,
    until_down: bool,
}

impl<'a> Driver<'a> {
    /// Takes all ports.
    pub(super) fn new(mut session: Session, options: &Options, hear: Hear<'a>) -> Result<Driver<'a>, Trouble> {
        let places = places(session.world().scenario());
        let mut listeners = Vec::new();
        for place in &places {
            listeners.push(Listener::new(place.clone(), options.bind)?);
        }
        let desk = Desk::new(session.world().scenario());
        let belongings = Belongings::new(options, &mut session)?;
        Ok(Driver {
            session,
            hear,
            places,
            listeners,
            shared: Shared::new(),
            desk,
            pace: Pace::new(options.began, options.speed_milli),
            ending: Vec::new(),
            out: Vec::new(),
            presence: None,
            stop_at: options.stop_after.map(|after| Deadline::now() + after),
            belongings,
            spoken: None,
            until_down: options.until_down,
        })
    }

    /// Serves until it is to stop.
    pub(super) async fn run(mut self, control: Option<UnixListener>) -> Session {
        if let Some(socket) = control {
            tokio::task::spawn_local(control::receive(socket, self.shared.clone()));
        }
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            match signal(kind) {
                Ok(stream) => drop(tokio::task::spawn_local(stopping(stream, self.shared.clone()))),
                Err(error) => (self.hear)(Heard::Complaint(format!("can't wait for signals: {error}"))),
            }
        }
        self.round();
        (self.hear)(Heard::Listening(&self.places));
        loop {
            let over = self.go_on().await;
            if !self.belongings.keeps_files() || self.shut_down().await || over {
                break;
            }
        }
        self.listeners.clear();
        self.shared.close_all();
        self.session
    }

    /// Rounds until it is to stop; true if its time is over.
    async fn go_on(&mut self) -> bool {
        while !self.shared.stop.get() {
            if self.session.world().now() < self.pace.now() {
                // Sockets are looked at first, and then those run who read them: the runtime does neither for as long as
                // this task always has something to do.
                for _ in 0..2 {
                    tokio::task::yield_now().await;
                }
            }
            let deadline = self.deadline();
            tokio::select! {
                biased;
                () = self.shared.wake.notified() => {}
                () = sleep_until(deadline) => {}
            }
            if self.stop_at.is_some_and(|at| at <= Deadline::now()) {
                return true;
            }
            self.round();
        }
        false
    }

    /// Where data is to outlast all this, processes are told to end as by SIGTERM, so that they save it, and get a while
    /// for that. False if they have all the time that they want.
    async fn shut_down(&mut self) -> bool {
        self.shared.stop.set(false);
        let up: Vec<String> =
            self.places.iter().filter(|place| self.is_up(place)).map(|place| format!("{:?}", place.name)).collect();
        if up.is_empty() {
            return true;
        }
        self.put_in(vec![Entry::Fault(format!("shutdown = [{}]", up.join(", ")))]);
        if self.until_down {
            return false;
        }
        let last = Deadline::now() + GRACE;
        while self.places.iter().any(|place| self.is_up(place)) && Deadline::now() < last && !self.shared.stop.get() {
            self.round();
            sleep_until(Deadline::now() + Duration::from_millis(1)).await;
        }
        self.round();
        true
    }

    fn is_up(&self, place: &Place) -> bool {
        self.session.world().life(place.node) == Life::Up
    }

    /// When the world next has something to do, or the session ends.
    fn deadline(&self) -> Deadline {
        let world = self.session.world();
        let mut next = world.next_at().unwrap_or(Instant::NEVER);
        if world.outside_connections() == 0 {
            // Nobody can tell: what is due still happens at its time, only later in ours.
            next = next.max(world.now() + self.pace.scaled(DOZE));
        }
        let due = Deadline::from_std(self.pace.when(Instant(next.0.saturating_sub(self.pace.scaled(AHEAD / 2).0))));
        self.stop_at.map_or(due, |stop| stop.min(due))
    }

    fn round(&mut self) {
        let present = self.pace.now();
        let began = Deadline::now();
        self.catch_up(present);
        let mut entries: Vec<Entry> = self.ending.drain(..).map(|id| self.shared.ended(id)).collect();
        self.look_around(&mut entries);
        entries.append(&mut self.shared.entries.borrow_mut());
        self.put_in(entries);
        self.serve_demands();
        if self.session.world().now() >= present {
            self.look_ahead(present);
        } else {
            self.shared.wake.notify_one();
        }
        self.set_pace(began.elapsed());
        self.follow_presence();
        self.keep_up();
        self.pass_on();
        self.refresh_room();
        self.ending.append(&mut self.shared.ends.borrow_mut());
        if !self.ending.is_empty() {
            self.shared.wake.notify_one();
        }
        if let Some(error) = self.session.take_broken() {
            (self.hear)(Heard::Complaint(format!("the record can't be written, it ends here: {error}")));
        }
        if self.until_down && self.desk.somebody_died() && self.places.iter().all(|place| self.is_down(place)) {
            self.shared.stop.set(true);
            self.shared.wake.notify_one();
        }
    }

    /// A process at something long answers others for as long as that takes in simulated time, however long it had to be
    /// worked on for that. What was missed is made up for when it is over.
    fn set_pace(&mut self, worked: Duration) {
        if !self.session.world().anyone_is_at_length() {
            self.pace.make_up();
        } else if worked > DEAR {
            self.pace.hold(worked);
        }
    }

    fn is_down(&self, place: &Place) -> bool {
        self.session.world().life(place.node) == Life::Down
    }

    /// What others have done to what nodes have.
    fn look_around(&mut self, entries: &mut Vec<Entry>) {
        let looked = self.belongings.look(entries);
        self.speak_of(looked);
    }

    /// What nodes have done to it, before their replies leave.
    fn keep_up(&mut self) {
        let kept = self.belongings.follow(&mut self.session);
        self.speak_of(kept);
    }

    /// Says once what is wrong with that.
    fn speak_of(&mut self, result: std::io::Result<()>) {
        if let Err(error) = result {
            let text = format!("files, logs and child processes of nodes can't be kept up: {error}");
            if self.spoken.as_ref() != Some(&text) {
                (self.hear)(Heard::Complaint(text.clone()));
                self.spoken = Some(text);
            }
        }
    }

    /// Brings the world to the present. What has come from outside meanwhile goes in there, not where the world was when
    /// it last had something to do.
    fn catch_up(&mut self, present: Instant) {
        let late = Deadline::now() + PATIENCE;
        while self.session.world().now() < present && !self.shared.stop.get() {
            let world = self.session.world();
            let slice = world.now() + self.pace.scaled(SLICE);
            let idle = world.next_at().unwrap_or(Instant::NEVER);
            self.advance(present.min(slice.max(idle)));
            if Deadline::now() > late {
                break;
            }
        }
    }

    fn advance(&mut self, to: Instant) {
        let Driver { session, hear, desk, .. } = self;
        let goes_on = session.advance(to, &mut |event| see(hear, desk, event));
        if !goes_on {
            self.shared.stop.set(true);
        }
    }

    fn put_in(&mut self, entries: Vec<Entry>) {
        let Driver { session, hear, desk, .. } = self;
        session.put_in(entries, &mut |event| see(hear, desk, event));
    }

    /// What is due at once, or so soon that sleeping would make it late.
    fn look_ahead(&mut self, present: Instant) {
        let until = present + self.pace.scaled(AHEAD);
        while let Some(next) = self.session.world().next_at().filter(|&next| next <= until) {
            self.advance(next);
            if self.shared.stop.get() {
                break;
            }
        }
    }

    /// What has come out of the simulation goes to sockets.
    fn pass_on(&mut self) {
        self.session.take_out(&mut self.out);
        for outside in self.out.drain(..) {
            match outside {
                Outside::Bytes { id, data } => self.shared.send(id, data),
                Outside::Connected { .. } => {}
                Outside::Refused { id, .. } => self.shared.closed(id, CloseWhy::Reset),
                Outside::Closed { id, why } => self.shared.closed(id, why),
                Outside::Dial { id, to } => self.shared.dial(id, to),
                Outside::Writable { id } => self.shared.low.borrow_mut().push(id),
            }
        }
    }

    /// Who listens, and who doesn't any more.
    fn follow_presence(&mut self) {
        let changes = self.session.world().presence_changes();
        if self.presence == Some(changes) {
            return;
        }
        self.presence = Some(changes);
        for (listener, place) in self.listeners.iter_mut().zip(&self.places) {
            let presence = self.session.world().presence(place.node);
            match listener.follow(presence, &self.shared) {
                Ok(()) => {}
                // Somebody took the port meanwhile: said once, tried again in each round.
                Err(None) => self.presence = None,
                Err(Some(trouble)) => {
                    (self.hear)(Heard::Complaint(trouble.to_string()));
                    self.presence = None;
                }
            }
        }
    }

    /// Tells readers how much room there is.
    fn refresh_room(&mut self) {
        let low = std::mem::take(&mut *self.shared.low.borrow_mut());
        for id in low {
            let Some(conn) = self.shared.table.borrow().get(&id).cloned() else { continue };
            let room = self.session.world().outside_room(id);
            conn.room.set(room);
            if room > 0 {
                conn.roomy.notify_one();
            } else {
                self.shared.put(Entry::Await(id));
            }
        }
    }

    fn serve_demands(&mut self) {
        let demands = std::mem::take(&mut *self.shared.demands.borrow_mut());
        for demand in demands {
            for entry in self.desk.take(demand, &self.session, &self.shared.stop) {
                self.put_in(vec![entry]);
                self.advance(self.session.world().now());
            }
            self.desk.answer();
        }
    }
}

fn see(hear: &mut Hear<'_>, desk: &mut Desk, event: &Event) {
    desk.see(event);
    hear(Heard::Event(event));
}

async fn stopping(mut stream: Signal, shared: Rc<Shared>) {
    stream.recv().await;
    shared.stop.set(true);
    shared.wake.notify_one();
}

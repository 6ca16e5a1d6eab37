//! What events are called: the names that they have in the trace, by which faults wait for them.

use super::{
    ClientEvent, DiskEvent, Kind, LockEvent, NetEvent, SentinelEvent, SentinelEventName, ServerEvent, WorldEvent,
};

/// Gives every variant of an event enum its name, and lists the names. A variant without a name does not compile.
macro_rules! names {
    ($event:ident, $list:ident: $($variant:ident => $name:literal),+ $(,)?) => {
        const $list: &[&str] = &[$($name),+];

        impl $event {
            /// Its name in the trace.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self {
                    $($event::$variant { .. } => $name,)+
                }
            }
        }
    };
}

names! { WorldEvent, WORLD:
    Declared => "declared", Started => "started", Died => "died", Paused => "paused", Resumed => "resumed",
    FaultBegan => "fault-began", FaultEnded => "fault-ended", ExecReply => "exec-reply", SettleBegan => "settle-began",
    End => "end",
}

names! { NetEvent, NET: ConnectFailed => "connect-failed", Broken => "broken", Stalled => "stalled" }

names! { DiskEvent, DISK: Lost => "lost", Corrupted => "corrupted" }

names! { ServerEvent, SERVER:
    Ready => "ready", History => "history", BecameMaster => "became-master", BecameReplica => "became-replica",
    Write => "write", Offset => "offset", Link => "link", SyncGranted => "sync-granted", RdbBegan => "rdb-began",
    RdbDone => "rdb-done", ReplicaOnline => "replica-online", ReplicaGone => "replica-gone", Synced => "synced",
    WritesRefused => "writes-refused", Slow => "slow", Expired => "expired", Evicted => "evicted", ConfigSet => "config-set", Fatal => "fatal",
    Final => "final", Logged => "logged", AofLoaded => "aof-loaded", AofRewriteBegan => "aof-rewrite-began",
    AofRewriteDone => "aof-rewrite-done", AofError => "aof-error",
}

names! { SentinelEvent, SENTINEL:
    Said => "said", Ready => "ready", VoteReceived => "vote-received", VoteIgnored => "vote-ignored",
    FailoverDelayed => "failover-delayed", Failover => "failover", Script => "script", Fatal => "fatal", Final => "final",
    Unsaved => "unsaved",
}

names! { ClientEvent, CLIENT:
    Invoke => "invoke", Ok => "ok", Fail => "fail", Unknown => "unknown", Connected => "connected",
    Disconnected => "disconnected", Discovered => "discovered", DiscoveryFailed => "discovery-failed",
    SwitchSeen => "switch-seen", NotMaster => "not-master",
}

names! { LockEvent, LOCK:
    Wanted => "lock-wanted", Asked => "lock-asked", Answered => "lock-answered", Missed => "lock-missed",
    Acquired => "lock-acquired", Extended => "lock-extended", Lost => "lock-lost", Released => "lock-released",
    GivenUp => "lock-given-up", ResourceAsked => "resource-asked", ResourceAnswered => "resource-answered",
    KeyHeld => "key-held", KeyFreed => "key-freed", Written => "resource-written", Rejected => "resource-rejected",
}

impl Kind {
    /// Its name in the trace; what Sentinel says has Sentinel's own name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Kind::World(event) => event.name(),
            Kind::Net(event) => event.name(),
            Kind::Disk(event) => event.name(),
            Kind::Server(event) => event.name(),
            Kind::Sentinel(SentinelEvent::Said { name, .. }) => name.as_str(),
            Kind::Sentinel(event) => event.name(),
            Kind::Client(event) => event.name(),
            Kind::Lock(event) => event.name(),
        }
    }
}

/// Names of events that come before the run or after it, or that have names of their own.
const NEVER: [&str; 5] = ["declared", "settle-began", "end", "final", "said"];

/// The names of all events that a fault can wait for, each once.
#[must_use]
pub fn triggers() -> Vec<&'static str> {
    let lists = [LOCK, WORLD, NET, DISK, SERVER, SENTINEL, CLIENT];
    let said = SentinelEventName::ALL.iter().map(|name| name.as_str());
    let mut out: Vec<&str> = Vec::new();
    for name in lists.into_iter().flatten().copied().chain(said) {
        if !out.contains(&name) && !NEVER.contains(&name) {
            out.push(name);
        }
    }
    out
}

/// Whether a fault can wait for an event of that name.
#[must_use]
pub fn can_trigger(name: &str) -> bool {
    triggers().contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Addr;

    /// A name is what the serialized form calls the event.
    #[test]
    fn names_are_those_of_the_trace() {
        let events = [
            Kind::World(WorldEvent::FaultEnded { fault: 3 }),
            Kind::Server(ServerEvent::Expired { keys: 1 }),
            Kind::Client(ClientEvent::NotMaster { server: Addr::default() }),
            Kind::Lock(LockEvent::GivenUp { round: 1 }),
            Kind::Net(NetEvent::Stalled { peer: Addr::default(), bytes: 1 }),
        ];
        for kind in events {
            let json = serde_json::to_value(&kind).expect("plain data");
            let inner = json.as_object().and_then(|map| map.values().next()).expect("one family");
            assert_eq!(inner["event"], kind.name());
            assert!(can_trigger(kind.name()));
        }
        assert!(can_trigger("+switch-master") && !can_trigger("final") && !can_trigger("lock-aquired"));
    }
}

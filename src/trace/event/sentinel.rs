//! What a sentinel says, under Sentinel's own event names and with Sentinel's own payloads, plus its internal
//! decisions that the real one only logs or keeps to itself.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{Addr, HexId};

/// The kind of instance an event is about, as it prints in payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceKind {
    /// A monitored master.
    Master,
    /// One of its replicas ("slave" on the wire).
    Slave,
    /// Another sentinel.
    Sentinel,
}

/// The instance an event is about: `<kind> <name> <ip> <port>`, and ` @ <master> <ip> <port>` unless it is the master.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Instance {
    /// What it is.
    pub kind: InstanceKind,
    /// Its name in Sentinel's tables: the master's name, a replica's `ip:port`, a sentinel's run id.
    pub name: Arc<str>,
    /// Its announced address, as Sentinel prints it (`announceSentinelAddr`).
    pub addr: Addr,
    /// The master's name.
    pub master: Arc<str>,
    /// The master's address.
    pub master_addr: Addr,
}

/// The failover state machine's states (`SENTINEL_FAILOVER_STATE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailoverState {
    /// No failover.
    None,
    /// Waiting to be elected.
    WaitStart,
    /// Choosing the replica.
    SelectSlave,
    /// Sending SLAVEOF NO ONE.
    SendSlaveofNoone,
    /// Waiting for its INFO to say master.
    WaitPromotion,
    /// Pointing the other replicas at it.
    ReconfSlaves,
    /// Switching to the new address.
    UpdateConfig,
}

/// Defines the C-like list of event names once: variant, printed name, doc.
macro_rules! sentinel_names {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal),+ $(,)?) => {
        /// The name of a sentinel event: the pub/sub channel that it is published on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum SentinelEventName {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $variant),+
        }
        impl SentinelEventName {
            /// Every name, in the order of this list.
            pub const ALL: &'static [SentinelEventName] = &[$(SentinelEventName::$variant),+];
            /// As Redis prints it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(SentinelEventName::$variant => $name),+ }
            }
        }
    };
}

sentinel_names! {
    /// Subjectively down.
    SdownEnter = "+sdown",
    /// No longer subjectively down.
    SdownExit = "-sdown",
    /// Objectively down.
    OdownEnter = "+odown",
    /// No longer objectively down.
    OdownExit = "-odown",
    /// The epoch was raised.
    NewEpoch = "+new-epoch",
    /// A failover attempt begins.
    TryFailover = "+try-failover",
    /// A vote was given.
    VoteForLeader = "+vote-for-leader",
    /// This sentinel won the election.
    ElectedLeader = "+elected-leader",
    /// State SELECT_SLAVE.
    StateSelectSlave = "+failover-state-select-slave",
    /// The replica to promote was chosen.
    SelectedSlave = "+selected-slave",
    /// State SEND_SLAVEOF_NOONE.
    StateSendSlaveofNoone = "+failover-state-send-slaveof-noone",
    /// State WAIT_PROMOTION.
    StateWaitPromotion = "+failover-state-wait-promotion",
    /// The chosen replica reports itself master.
    PromotedSlave = "+promoted-slave",
    /// State RECONF_SLAVES.
    StateReconfSlaves = "+failover-state-reconf-slaves",
    /// A replica was told to follow the new master.
    SlaveReconfSent = "+slave-reconf-sent",
    /// The same, best effort at the end of a failover.
    SlaveReconfSentBe = "+slave-reconf-sent-be",
    /// The replica reports the new master but is not yet linked.
    SlaveReconfInprog = "+slave-reconf-inprog",
    /// The replica is linked to the new master.
    SlaveReconfDone = "+slave-reconf-done",
    /// A replica took too long to reconfigure.
    SlaveReconfSentTimeout = "-slave-reconf-sent-timeout",
    /// The failover is complete.
    FailoverEnd = "+failover-end",
    /// The failover ended though not all replicas were reconfigured.
    FailoverEndForTimeout = "+failover-end-for-timeout",
    /// The master's address changed.
    SwitchMaster = "+switch-master",
    /// Not elected in time.
    AbortNotElected = "-failover-abort-not-elected",
    /// No replica fit to be promoted.
    AbortNoGoodSlave = "-failover-abort-no-good-slave",
    /// The chosen replica didn't turn master in time.
    AbortSlaveTimeout = "-failover-abort-slave-timeout",
    /// A newer configuration came in by a hello.
    ConfigUpdateFrom = "+config-update-from",
    /// A replica was discovered.
    Slave = "+slave",
    /// A sentinel was discovered.
    Sentinel = "+sentinel",
    /// A known sentinel has another address.
    SentinelAddressSwitch = "+sentinel-address-switch",
    /// The new address was given to the same sentinel in other masters' tables.
    SentinelAddressUpdate = "+sentinel-address-update",
    /// A sentinel's address is used by another one.
    SentinelInvalidAddr = "+sentinel-invalid-addr",
    /// A duplicate of a sentinel was removed.
    DupSentinel = "-dup-sentinel",
    /// An instance reports the role that it should have.
    RoleChangePlus = "+role-change",
    /// An instance reports a role that it should not have.
    RoleChangeMinus = "-role-change",
    /// A returned old master was told to follow.
    ConvertToSlave = "+convert-to-slave",
    /// A replica with another master was told to follow.
    FixSlaveConfig = "+fix-slave-config",
    /// The instance restarted (its run id changed).
    Reboot = "+reboot",
    /// TILT entered.
    TiltEnter = "+tilt",
    /// TILT left.
    TiltExit = "-tilt",
    /// The master's tables were reset.
    ResetMaster = "+reset-master",
    /// Monitoring began.
    Monitor = "+monitor",
    /// Monitoring ended.
    MonitorRemoved = "-monitor",
    /// A setting was changed at run time.
    Set = "+set",
    /// The master of a monitored "master" that is a replica is monitored instead.
    RedirectToMaster = "+redirect-to-master",
    /// A script was started.
    ScriptChild = "+script-child",
    /// A script ended.
    ScriptChildEnded = "-script-child",
    /// A script could not be started.
    ScriptError = "-script-error",
    /// A script ran for too long and was killed.
    ScriptTimeout = "-script-timeout",
    /// A command link failed to open.
    CmdLinkReconnection = "-cmd-link-reconnection",
    /// A pub/sub link failed to open.
    PubsubLinkReconnection = "-pubsub-link-reconnection",
}

/// What an event carries besides the instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Detail {
    /// Nothing.
    None,
    /// `#quorum <votes>/<quorum>` of +odown.
    Quorum {
        /// Sentinels that agree, this one included.
        votes: u32,
        /// How many are needed.
        quorum: u32,
    },
    /// The epoch of +new-epoch.
    Epoch(u64),
    /// `<leader> <epoch>` of +vote-for-leader.
    Vote {
        /// Who got the vote.
        leader: HexId,
        /// In which epoch.
        epoch: u64,
    },
    /// `<master> <old ip> <old port> <new ip> <new port>` of +switch-master.
    Switch {
        /// The master's name.
        master: Arc<str>,
        /// Its old address.
        old: Addr,
        /// Its new address.
        new: Addr,
    },
    /// ` new reported role is <role>` of ±role-change.
    Role {
        /// True for master.
        master: bool,
    },
    /// Anything else, as Redis prints it after the instance (or alone).
    Text(Arc<str>),
}

/// Events of a sentinel.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum SentinelEvent {
    /// What `sentinelEvent` publishes (or, at debug level, only logs).
    Said {
        /// Its name.
        name: SentinelEventName,
        /// The instance it is about.
        instance: Option<Box<Instance>>,
        /// The rest of the payload.
        detail: Detail,
    },
    /// Ready, with this id.
    Ready {
        /// `sentinel myid`.
        id: HexId,
        /// The current epoch it starts from.
        epoch: u64,
    },
    /// The reply of a peer to an is-master-down-by-addr question with a vote in it.
    VoteReceived {
        /// The master's name.
        master: Arc<str>,
        /// The voter.
        from: HexId,
        /// Whom it votes for.
        leader: HexId,
        /// In which epoch.
        epoch: u64,
    },
    /// Another sentinel asked for a vote and does not get it.
    VoteIgnored {
        /// The candidate.
        candidate: HexId,
        /// The epoch it asked in.
        epoch: u64,
        /// Why not.
        why: Arc<str>,
    },
    /// `Next failover delay: I will not start a failover before …`
    FailoverDelayed {
        /// The master's name.
        master: Arc<str>,
        /// How long from now, in milliseconds.
        ms: u64,
    },
    /// The failover state machine moved.
    Failover {
        /// The master's name.
        master: Arc<str>,
        /// Its state now.
        state: FailoverState,
    },
    /// A notification or reconfiguration script would have run.
    Script {
        /// Its path.
        path: Arc<str>,
        /// Its arguments, separated by blanks.
        arguments: Arc<str>,
    },
    /// Something the real sentinel would log and exit for.
    Fatal {
        /// The log line.
        message: Arc<str>,
    },
    /// End-of-run probe: what this sentinel believes about one master.
    Final {
        /// The master's name.
        master: Arc<str>,
        /// Its address.
        addr: Addr,
        /// The configuration epoch.
        config_epoch: u64,
        /// The current epoch.
        current_epoch: u64,
    },
    /// The configuration could not be saved: the disk doesn't know what the sentinel does.
    Unsaved {
        /// Why.
        error: Arc<str>,
    },
}

impl Detail {
    fn is_none(&self) -> bool {
        *self == Detail::None
    }
}

impl fmt::Display for InstanceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InstanceKind::Master => "master",
            InstanceKind::Slave => "slave",
            InstanceKind::Sentinel => "sentinel",
        })
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.kind, self.name, self.addr.ip, self.addr.port)?;
        if self.kind != InstanceKind::Master {
            write!(f, " @ {} {} {}", self.master, self.master_addr.ip, self.master_addr.port)?;
        }
        Ok(())
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Detail::None => Ok(()),
            Detail::Quorum { votes, quorum } => write!(f, "#quorum {votes}/{quorum}"),
            Detail::Epoch(epoch) => write!(f, "{epoch}"),
            Detail::Vote { leader, epoch } => write!(f, "{leader} {epoch}"),
            Detail::Switch { master, old, new } => {
                write!(f, "{master} {} {} {} {}", old.ip, old.port, new.ip, new.port)
            }
            Detail::Role { master } => write!(f, "new reported role is {}", if *master { "master" } else { "slave" }),
            Detail::Text(text) => f.write_str(text),
        }
    }
}

impl SentinelEvent {
    /// The payload as Sentinel publishes it on the channel of the event's name; `None` for what it doesn't publish.
    #[must_use]
    pub fn payload(&self) -> Option<String> {
        let SentinelEvent::Said { instance, detail, .. } = self else { return None };
        Some(match instance {
            None => detail.to_string(),
            Some(instance) if detail.is_none() => instance.to_string(),
            Some(instance) => format!("{instance} {detail}"),
        })
    }
}

impl fmt::Display for SentinelEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SentinelEvent::Said { name, .. } => {
                let payload = self.payload().unwrap_or_default();
                write!(f, "{} {payload}", name.as_str())
            }
            SentinelEvent::Ready { id, epoch } => write!(f, "ready {id:.8} epoch {epoch}"),
            SentinelEvent::VoteReceived { master, from, leader, epoch } => {
                write!(f, "vote {master} from {from:.8} for {leader:.8} epoch {epoch}")
            }
            SentinelEvent::VoteIgnored { candidate, epoch, why } => {
                write!(f, "no vote for {candidate:.8} epoch {epoch}: {why}")
            }
            SentinelEvent::FailoverDelayed { master, ms } => write!(f, "next failover of {master} not before {ms} ms"),
            SentinelEvent::Failover { master, state } => write!(f, "failover {master} {state:?}"),
            SentinelEvent::Script { path, arguments } => write!(f, "script {path} {arguments}"),
            SentinelEvent::Fatal { message } => write!(f, "fatal {message}"),
            SentinelEvent::Unsaved { error } => write!(f, "configuration not saved: {error}"),
            SentinelEvent::Final { master, addr, config_epoch, current_epoch } => {
                write!(f, "final {master} {addr} config epoch {config_epoch} current {current_epoch}")
            }
        }
    }
}

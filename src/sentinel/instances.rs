//! The tables: monitored masters, their replicas, the other sentinels, and what is known of each
//! (`sentinelRedisInstance`).

use std::sync::Arc;

use bytes::Bytes;

use super::address::{Address, CreateError, HostPort};
use super::config::{DEFAULT_PARALLEL_SYNCS, MasterConf};
use super::link::{Link, LinkId};
use super::{Cx, Ms, Sentinel, publish};
use crate::id::{EventId, HexId};
use crate::trace::event::{Detail, FailoverState, InstanceKind, SentinelEventName};

/// Index of an instance in the arena.
pub(super) type Id = usize;

/// `SRI_*` flags other than the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Flags(u16);

impl Flags {
    /// Subjectively down.
    pub(super) const S_DOWN: Flags = Flags(1 << 0);
    /// Objectively down.
    pub(super) const O_DOWN: Flags = Flags(1 << 1);
    /// A sentinel that thinks its master is down.
    pub(super) const MASTER_DOWN: Flags = Flags(1 << 2);
    /// A failover of this master is in progress here.
    pub(super) const FAILOVER: Flags = Flags(1 << 3);
    /// The replica chosen for promotion.
    pub(super) const PROMOTED: Flags = Flags(1 << 4);
    /// Told to follow the new master.
    pub(super) const RECONF_SENT: Flags = Flags(1 << 5);
    /// Reports the new master.
    pub(super) const RECONF_INPROG: Flags = Flags(1 << 6);
    /// Linked to the new master.
    pub(super) const RECONF_DONE: Flags = Flags(1 << 7);
    /// Fail over though the master is up.
    pub(super) const FORCE: Flags = Flags(1 << 8);
    /// SCRIPT KILL was sent on -BUSY.
    pub(super) const SCRIPT_KILL: Flags = Flags(1 << 9);
    /// The master was seen to have restarted.
    pub(super) const REBOOT: Flags = Flags(1 << 10);

    /// Whether any of these is set.
    pub(super) fn any(self, flags: Flags) -> bool {
        self.0 & flags.0 != 0
    }

    pub(super) fn set(&mut self, flags: Flags) {
        self.0 |= flags.0;
    }

    pub(super) fn clear(&mut self, flags: Flags) {
        self.0 &= !flags.0;
    }
}

impl std::ops::BitOr for Flags {
    type Output = Flags;
    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

/// The role that INFO reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// None was reported (sentinels; a broken INFO).
    None,
    Master,
    Slave,
}

/// A process that this sentinel watches.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub(super) kind: InstanceKind,
    pub(super) flags: Flags,
    /// A master's name, a replica's `ip:port`, a sentinel's id.
    pub(super) name: Arc<str>,
    /// A server's run id, a sentinel's id.
    pub(super) run_id: Option<HexId>,
    pub(super) addr: Address,
    pub(super) link: LinkId,
    /// The master that it belongs to; a master's own index.
    pub(super) master: Id,
    pub(super) last_pub_time: Ms,
    pub(super) last_hello_time: Ms,
    pub(super) last_master_down_reply_time: Ms,
    pub(super) s_down_since: Ms,
    pub(super) o_down_since: Ms,
    pub(super) down_after: Ms,
    pub(super) reboot_since: Ms,
    /// When INFO was last received; 0: never.
    pub(super) info_refresh: Ms,
    pub(super) role_reported: Role,
    pub(super) role_reported_time: Ms,
    pub(super) slave_conf_change_time: Ms,
    /// Of a master: whom this sentinel voted for. Of a sentinel: whom it voted for.
    pub(super) leader: Option<HexId>,
    pub(super) leader_epoch: u64,
    /// The cached INFO output.
    pub(super) info: Bytes,
    pub(super) replica: Replica,
    /// Present in masters.
    pub(super) group: Option<Box<Group>>,
    /// What made it silent: when its link was lost, or it answered that the master is down.
    pub(super) cause: EventId,
    /// When a timer tick may have something to do for it, in wall-clock milliseconds; [`super::schedule::STALE`] when
    /// that must be worked out again.
    pub(super) due: Ms,
}

/// What INFO of a replica says.
#[derive(Clone, Debug)]
pub(super) struct Replica {
    pub(super) master_link_down_time: Ms,
    pub(super) priority: i32,
    pub(super) announced: bool,
    pub(super) reconf_sent_time: Ms,
    pub(super) master_host: Option<Arc<str>>,
    pub(super) master_port: i32,
    pub(super) master_link_up: bool,
    pub(super) repl_offset: u64,
}

/// What belongs to a master only.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) sentinels: Vec<Id>,
    pub(super) slaves: Vec<Id>,
    pub(super) quorum: u32,
    pub(super) parallel_syncs: i64,
    pub(super) auth_pass: Option<Arc<str>>,
    pub(super) auth_user: Option<Arc<str>>,
    pub(super) notification_script: Option<Arc<str>>,
    pub(super) client_reconfig_script: Option<Arc<str>>,
    pub(super) renamed_commands: Vec<(Arc<str>, Arc<str>)>,
    pub(super) reboot_down_after: Ms,
    pub(super) config_epoch: u64,
    pub(super) failover_epoch: u64,
    pub(super) failover_state: FailoverState,
    pub(super) failover_state_change_time: Ms,
    pub(super) failover_start_time: Ms,
    pub(super) failover_timeout: Ms,
    pub(super) failover_delay_logged: Ms,
    pub(super) promoted: Option<Id>,
    /// The last event of the present failover or of the down state: what the next one follows from.
    pub(super) last_step: EventId,
    /// The candidate and epoch last refused a vote.
    pub(super) refused: (HexId, u64),
    /// The hello message as last encoded.
    pub(super) hello: Option<publish::Encoded>,
}

impl Instance {
    pub(super) fn is_master(&self) -> bool {
        self.kind == InstanceKind::Master
    }

    pub(super) fn is_slave(&self) -> bool {
        self.kind == InstanceKind::Slave
    }

    pub(super) fn is_sentinel(&self) -> bool {
        self.kind == InstanceKind::Sentinel
    }

    /// The role that the tables give it.
    pub(super) fn expected_role(&self) -> Role {
        match self.kind {
            InstanceKind::Master => Role::Master,
            InstanceKind::Slave => Role::Slave,
            InstanceKind::Sentinel => Role::None,
        }
    }

    /// Whether nothing was wrong with it within so many milliseconds (`sentinelRedisInstanceNoDownFor`).
    pub(super) fn no_down_for(&self, now: Ms, ms: Ms) -> bool {
        let latest = self.s_down_since.max(self.o_down_since);
        latest == 0 || now - latest > ms
    }
}

impl Sentinel {
    pub(super) fn at(&self, id: Id) -> &Instance {
        &self.instances[id]
    }

    /// For changing; whatever was known of when it is due is forgotten.
    pub(super) fn at_mut(&mut self, id: Id) -> &mut Instance {
        let instance = &mut self.instances[id];
        instance.due = super::schedule::STALE;
        instance
    }

    /// A master's own part.
    pub(super) fn group(&self, master: Id) -> &Group {
        self.instances[master].group.as_deref().expect("masters have a group")
    }

    /// A master's own part, for changing.
    pub(super) fn group_mut(&mut self, master: Id) -> &mut Group {
        self.at_mut(master).group.as_deref_mut().expect("masters have a group")
    }

    pub(super) fn link_of(&self, id: Id) -> &Link {
        &self.links[self.instances[id].link]
    }

    pub(super) fn master_by_name(&self, name: &[u8]) -> Option<Id> {
        self.masters.iter().copied().find(|&id| self.instances[id].name.as_bytes() == name)
    }

    /// The first master at this address.
    pub(super) fn master_by_addr(&self, host: &str, port: i64) -> Option<Id> {
        let wanted = self.address(host, port, true).ok()?;
        self.masters.iter().copied().find(|&id| self.instances[id].addr.same(&wanted))
    }

    /// The sentinel with this id in a master's table.
    pub(super) fn sentinel_by_id(&self, master: Id, run_id: HexId) -> Option<Id> {
        self.group(master).sentinels.iter().copied().find(|&id| self.instances[id].run_id == Some(run_id))
    }

    /// The replica at this address in a master's table (`sentinelRedisInstanceLookupSlave`).
    pub(super) fn slave_by_addr(&self, master: Id, host: &str, port: i64) -> Option<Id> {
        let slaves = &self.group(master).slaves;
        let near = |&id: &Id| {
            let addr = &self.instances[id].addr;
            *self.announced(addr).as_ref() == *host && i64::from(addr.port) == port
        };
        if let Some(id) = slaves.iter().copied().find(near) {
            return Some(id);
        }
        let addr = self.address(host, port, false).ok()?;
        let announced = self.announced(&addr);
        slaves.iter().copied().find(|&id| {
            let known = &self.instances[id].addr;
            known.port == addr.port && self.announced(known) == announced
        })
    }

    /// Adds an instance to its table (`createSentinelRedisInstance`). `master` is `None` for a master.
    pub(super) fn create(
        &mut self,
        now: Ms,
        kind: InstanceKind,
        name: &str,
        (host, port): (&str, i64),
        master: Option<Id>,
    ) -> Result<Id, CreateError> {
        let addr = self.address(host, port, true)?;
        let name: Arc<str> = match kind {
            InstanceKind::Slave => HostPort(self.announced(&addr), addr.port).to_string().into(),
            InstanceKind::Master | InstanceKind::Sentinel => name.into(),
        };
        let table = match (kind, master) {
            (InstanceKind::Master, _) => &self.masters,
            (InstanceKind::Slave, Some(master)) => &self.group(master).slaves,
            (InstanceKind::Sentinel, Some(master)) => &self.group(master).sentinels,
            (_, None) => unreachable!("only masters stand alone"),
        };
        if table.iter().any(|&id| self.instances[id].name == name) {
            return Err(CreateError::Busy);
        }
        let link = self.links.insert(Link::new(now));
        let down_after = master.map_or(self.timing.default_down_after, |master| self.instances[master].down_after);
        let entry = self.instances.vacant_entry();
        let id = entry.key();
        let mut instance = Instance::new(now, kind, name, addr, link, master.unwrap_or(id), down_after);
        if kind == InstanceKind::Master {
            instance.group = Some(Box::new(Group::new(self.timing.default_failover_timeout)));
        }
        entry.insert(instance);
        let mut table = match (kind, master) {
            (InstanceKind::Master, _) => std::mem::take(&mut self.masters),
            (InstanceKind::Slave, Some(master)) => std::mem::take(&mut self.group_mut(master).slaves),
            (InstanceKind::Sentinel, Some(master)) => std::mem::take(&mut self.group_mut(master).sentinels),
            (_, None) => unreachable!("only masters stand alone"),
        };
        let place = self.place(id);
        let at = table.partition_point(|&other| self.place(other) < place);
        table.insert(at, id);
        match (kind, master) {
            (InstanceKind::Slave, Some(master)) => self.group_mut(master).slaves = table,
            (InstanceKind::Sentinel, Some(master)) => self.group_mut(master).sentinels = table,
            (InstanceKind::Master, _) | (_, None) => self.masters = table,
        }
        self.heard.clear();
        self.all_stale = true;
        Ok(id)
    }

    /// Where an instance stands in its table. Sentinel's tables are hash tables seeded anew by every process, so in
    /// which order replicas are reconfigured or sentinels asked differs from one sentinel to the next.
    fn place(&self, id: Id) -> u64 {
        crate::trace::digest::hash_bytes(&[&self.init.seed.0.to_le_bytes(), self.instances[id].name.as_bytes()])
    }

    /// A master of the configuration file with everything that the file remembers of it.
    pub(super) fn create_configured(&mut self, now: Ms, conf: &MasterConf) -> Result<(), CreateError> {
        let place = (&*conf.host, i64::from(conf.port));
        let id = self.create(now, InstanceKind::Master, &conf.name, place, None)?;
        let master = self.at_mut(id);
        master.down_after = conf.down_after;
        master.leader_epoch = conf.leader_epoch;
        let group = self.group_mut(id);
        group.quorum = conf.quorum;
        group.parallel_syncs = i64::from(conf.parallel_syncs);
        group.failover_timeout = conf.failover_timeout;
        group.auth_pass.clone_from(&conf.auth_pass);
        group.auth_user.clone_from(&conf.auth_user);
        group.notification_script.clone_from(&conf.notification_script);
        group.client_reconfig_script.clone_from(&conf.client_reconfig_script);
        group.renamed_commands.clone_from(&conf.renamed_commands);
        group.reboot_down_after = conf.reboot_down_after;
        group.config_epoch = conf.config_epoch;
        for (host, port) in &conf.replicas {
            self.create(now, InstanceKind::Slave, "", (host, i64::from(*port)), Some(id))?;
        }
        for (host, port, run_id) in &conf.sentinels {
            let place = (&**host, i64::from(*port));
            let peer = self.create(now, InstanceKind::Sentinel, &run_id.to_string(), place, Some(id))?;
            self.at_mut(peer).run_id = Some(*run_id);
            self.share_link(peer);
        }
        Ok(())
    }

    /// Frees an instance that no table holds any more (`releaseSentinelRedisInstance`).
    pub(super) fn release(&mut self, cx: &mut Cx<'_>, id: Id) {
        if let Some(group) = self.instances[id].group.take() {
            for child in group.sentinels.into_iter().chain(group.slaves) {
                self.release(cx, child);
            }
        }
        let (link, flags, master) = {
            let instance = &self.instances[id];
            (instance.link, instance.flags, instance.master)
        };
        self.release_link(cx, link, id);
        if flags.any(Flags::PROMOTED)
            && let Some(group) = self.instances.get_mut(master).and_then(|master| master.group.as_deref_mut())
            && group.promoted == Some(id)
        {
            group.promoted = None;
        }
        self.instances.remove(id);
        self.heard.clear();
        self.all_stale = true;
    }

    /// Removes the sentinels with this id from a master's table (`removeMatchingSentinelFromMaster`).
    pub(super) fn remove_sentinels(&mut self, cx: &mut Cx<'_>, master: Id, run_id: HexId) -> usize {
        let mut removed = 0;
        while let Some(id) = self.sentinel_by_id(master, run_id) {
            self.group_mut(master).sentinels.retain(|&other| other != id);
            self.release(cx, id);
            removed += 1;
        }
        removed
    }

    /// Forgets replicas, sentinels (unless they are to be kept) and the run-time state of a master
    /// (`sentinelResetMaster`).
    pub(super) fn reset_master(&mut self, cx: &mut Cx<'_>, id: Id, keep_sentinels: bool, say: bool) {
        let group = self.group_mut(id);
        let mut gone = std::mem::take(&mut group.slaves);
        if !keep_sentinels {
            gone.append(&mut group.sentinels);
        }
        for child in gone {
            self.release(cx, child);
        }
        let link = self.instances[id].link;
        self.close_command(cx, link);
        self.close_pubsub(cx, link);
        let now = cx.ms;
        let master = self.at_mut(id);
        master.flags = Flags::default();
        master.leader = None;
        master.run_id = None;
        master.replica.master_host = None;
        master.role_reported_time = now;
        master.role_reported = Role::Master;
        let group = self.group_mut(id);
        group.failover_state_change_time = 0;
        group.failover_start_time = 0;
        group.promoted = None;
        self.failover_state(cx, id, FailoverState::None);
        let link = &mut self.links[link];
        link.act_ping_time = now;
        link.last_ping_time = 0;
        link.last_avail_time = now;
        link.last_pong_time = now;
        self.all_stale = true;
        if say {
            self.warn(cx, SentinelEventName::ResetMaster, id, Detail::None);
        }
    }

    /// Gives a master another address; its old one and the other replicas become its replicas
    /// (`sentinelResetMasterAndChangeAddress`). Nothing happens when the address can't be resolved.
    pub(super) fn switch_address(&mut self, cx: &mut Cx<'_>, id: Id, host: &str, port: i64) {
        let Ok(new) = self.address(host, port, false) else { return };
        let old = self.at(id).addr.clone();
        let mut slaves: Vec<Address> = Vec::with_capacity(self.group(id).slaves.len() + 1);
        for &slave in &self.group(id).slaves {
            let addr = &self.at(slave).addr;
            if !addr.same(&new) {
                slaves.push(addr.clone());
            }
        }
        if !new.same(&old) {
            slaves.push(old);
        }
        self.reset_master(cx, id, true, false);
        let master = self.at_mut(id);
        master.addr = new;
        master.o_down_since = 0;
        master.s_down_since = 0;
        for addr in slaves {
            let place = (&*addr.host, i64::from(addr.port));
            if let Ok(slave) = self.create(cx.ms, InstanceKind::Slave, "", place, Some(id)) {
                self.notice(cx, SentinelEventName::Slave, slave, Detail::None);
            }
        }
        self.flush_config(cx);
    }

    /// The address that clients are told: the promoted replica's as soon as it is known to be a master
    /// (`sentinelGetCurrentMasterAddress`).
    pub(super) fn current_address(&self, master: Id) -> &Address {
        let group = self.group(master);
        match group.promoted {
            Some(promoted)
                if self.at(master).flags.any(Flags::FAILOVER)
                    && group.failover_state >= FailoverState::ReconfSlaves =>
            {
                &self.at(promoted).addr
            }
            Some(_) | None => &self.at(master).addr,
        }
    }

    /// Gives a master's `down-after-milliseconds` to all in its tables (`sentinelPropagateDownAfterPeriod`).
    pub(super) fn propagate_down_after(&mut self, master: Id) {
        let down_after = self.at(master).down_after;
        let group = self.group(master);
        let children: Vec<Id> = group.slaves.iter().chain(&group.sentinels).copied().collect();
        for child in children {
            self.at_mut(child).down_after = down_after;
        }
        self.all_stale = true;
    }

    /// The name that a command has at an instance (`sentinelInstanceMapCommand`).
    pub(super) fn command_name<'a>(&'a self, id: Id, command: &'a str) -> &'a str {
        let renamed = &self.group(self.at(id).master).renamed_commands;
        if renamed.is_empty() {
            return command;
        }
        renamed.iter().find(|(from, _)| from.eq_ignore_ascii_case(command)).map_or(command, |(_, to)| to)
    }
}

impl Instance {
    fn new(
        now: Ms,
        kind: InstanceKind,
        name: Arc<str>,
        addr: Address,
        link: LinkId,
        master: Id,
        down_after: Ms,
    ) -> Instance {
        let mut instance = Instance {
            kind,
            flags: Flags::default(),
            name,
            run_id: None,
            addr,
            link,
            master,
            last_pub_time: now,
            last_hello_time: now,
            last_master_down_reply_time: now,
            s_down_since: 0,
            o_down_since: 0,
            down_after,
            reboot_since: 0,
            info_refresh: 0,
            role_reported: Role::None,
            role_reported_time: now,
            slave_conf_change_time: now,
            leader: None,
            leader_epoch: 0,
            info: Bytes::new(),
            replica: Replica {
                master_link_down_time: 0,
                priority: 100,
                announced: true,
                reconf_sent_time: 0,
                master_host: None,
                master_port: 0,
                master_link_up: false,
                repl_offset: 0,
            },
            group: None,
            cause: EventId::NONE,
            due: super::schedule::STALE,
        };
        instance.role_reported = instance.expected_role();
        instance
    }
}

impl Group {
    fn new(failover_timeout: Ms) -> Group {
        Group {
            sentinels: Vec::new(),
            slaves: Vec::new(),
            quorum: 1,
            parallel_syncs: i64::from(DEFAULT_PARALLEL_SYNCS),
            auth_pass: None,
            auth_user: None,
            notification_script: None,
            client_reconfig_script: None,
            renamed_commands: Vec::new(),
            reboot_down_after: 0,
            config_epoch: 0,
            failover_epoch: 0,
            failover_state: FailoverState::None,
            failover_state_change_time: 0,
            failover_start_time: 0,
            failover_timeout,
            failover_delay_logged: 0,
            promoted: None,
            last_step: EventId::NONE,
            refused: (HexId::ZERO, 0),
            hello: None,
        }
    }
}

//! Addresses as Sentinel keeps them: what was written, what it resolves to, what is announced (`sentinelAddr`).

use std::fmt;
use std::sync::Arc;

use super::Sentinel;
use crate::id::{Addr, Ip};

/// A host as it was given, its resolved address, and a port.
#[derive(Clone, Debug)]
pub(super) struct Address {
    /// The name or address as it was given.
    pub(super) host: Arc<str>,
    /// The resolved address; `None` while a name can't be resolved.
    pub(super) ip: Option<Ip>,
    /// The resolved address as text, empty while unresolved.
    pub(super) ip_text: Arc<str>,
    /// The port; 0 marks an address as invalid.
    pub(super) port: u16,
}

/// Why an instance can't be created (`errno` of `createSentinelRedisInstance`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CreateError {
    /// `EBUSY`: there is one already.
    Busy,
    /// `ENOENT`: the name can't be resolved.
    Unresolved,
    /// `EINVAL`: no such port.
    Port,
}

impl CreateError {
    /// What the user is told about a master (`sentinelCheckCreateInstanceErrors`).
    pub(super) fn of_master(self) -> &'static str {
        match self {
            CreateError::Busy => "Duplicate master name.",
            CreateError::Unresolved => "Can't resolve instance hostname.",
            CreateError::Port => "Invalid port number.",
        }
    }
}

impl Address {
    /// Whether both are the same place (`sentinelAddrOrHostnameEqual`).
    pub(super) fn same(&self, other: &Address) -> bool {
        self.port == other.port && (self.ip == other.ip || self.host.eq_ignore_ascii_case(&other.host))
    }

    /// For the trace, which knows addresses only.
    pub(super) fn addr(&self) -> Addr {
        Addr::new(self.ip.unwrap_or_default(), self.port)
    }

    /// What other processes are told (`announceSentinelAddr`).
    pub(super) fn announced(&self, host_names: bool) -> &Arc<str> {
        if host_names { &self.host } else { &self.ip_text }
    }
}

/// `host:port` of an announced address, which names a replica.
pub(super) struct HostPort<'a>(pub(super) &'a str, pub(super) u16);

impl fmt::Display for HostPort<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') { write!(f, "[{}]:{}", self.0, self.1) } else { write!(f, "{}:{}", self.0, self.1) }
    }
}

impl Sentinel {
    /// Resolves a host: an address is itself, a name is looked up if that is allowed (`anetResolve`).
    pub(super) fn resolve(&self, host: &str) -> Option<Ip> {
        Ip::parse(host).or_else(|| self.config.resolve_hostnames.then(|| self.init.hosts.get(host).copied()).flatten())
    }

    /// Makes an address (`createSentinelAddr`).
    pub(super) fn address(&self, host: &str, port: i64, accept_unresolved: bool) -> Result<Address, CreateError> {
        let port = u16::try_from(port).map_err(|_| CreateError::Port)?;
        let ip = self.resolve(host);
        if ip.is_none() && !(self.config.resolve_hostnames && accept_unresolved) {
            return Err(CreateError::Unresolved);
        }
        let host: Arc<str> = host.into();
        let ip_text = match ip {
            None => "".into(),
            Some(_) if Ip::parse(&host).is_some() => Arc::clone(&host),
            Some(ip) => ip.to_string().into(),
        };
        Ok(Address { host, ip, ip_text, port })
    }

    /// Whether a host names this address (`sentinelAddrEqualsHostname`).
    pub(super) fn names(&self, address: &Address, host: &str) -> bool {
        if *address.ip_text == *host {
            return true;
        }
        match self.resolve(host) {
            Some(ip) => address.ip == Some(ip),
            None if self.config.resolve_hostnames => address.host.eq_ignore_ascii_case(host),
            None => address.ip_text.eq_ignore_ascii_case(host),
        }
    }

    /// What other processes are told.
    pub(super) fn announced<'a>(&self, address: &'a Address) -> &'a Arc<str> {
        address.announced(self.config.announce_hostnames)
    }
}

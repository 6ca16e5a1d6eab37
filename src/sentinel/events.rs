//! Everything that Sentinel says goes through here: to the trace, to subscribers, to notification scripts
//! (`sentinelEvent`).

use std::fmt::Write as _;
use std::sync::Arc;

use super::address::Address;
use super::instances::{Id, Instance};
use super::{Cx, Sentinel};
use crate::id::{Addr, EventId, Ip};
use crate::trace::Kind;
use crate::trace::event::{self, Detail, SentinelEvent, SentinelEventName};

/// How loud an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// Logged only.
    Debug,
    /// Published.
    Notice,
    /// Published, and worth a notification script.
    Warning,
}

impl Sentinel {
    /// An event about an instance that a notification script hears of.
    pub(super) fn warn(&mut self, cx: &mut Cx<'_>, name: SentinelEventName, id: Id, detail: Detail) -> EventId {
        self.say(cx, Level::Warning, name, Some(id), Some(id), detail)
    }

    /// An event about an instance.
    pub(super) fn notice(&mut self, cx: &mut Cx<'_>, name: SentinelEventName, id: Id, detail: Detail) -> EventId {
        self.say(cx, Level::Notice, name, Some(id), Some(id), detail)
    }

    /// An event that is not published.
    pub(super) fn debug(&mut self, cx: &mut Cx<'_>, name: SentinelEventName, id: Id, detail: Detail) -> EventId {
        self.say(cx, Level::Debug, name, Some(id), Some(id), detail)
    }

    /// An event whose payload does not begin with an instance; `of` is the one whose script hears of it.
    pub(super) fn say_bare(
        &mut self,
        cx: &mut Cx<'_>,
        name: SentinelEventName,
        of: Option<Id>,
        detail: Detail,
    ) -> EventId {
        self.say(cx, Level::Warning, name, None, of, detail)
    }

    /// An event about a script, not published.
    pub(super) fn say_script(&mut self, cx: &mut Cx<'_>, name: SentinelEventName, text: String) -> EventId {
        self.say(cx, Level::Debug, name, None, None, Detail::Text(text.into()))
    }

    /// `+switch-master`.
    pub(super) fn say_switch(&mut self, cx: &mut Cx<'_>, master: Id, old: &Address, new: &str, new_port: i64) {
        let name = self.at(master).name.clone();
        let port = u16::try_from(new_port).unwrap_or(0);
        let new_ip = self.resolve(new);
        let event = SentinelEvent::Said {
            name: SentinelEventName::SwitchMaster,
            instance: None,
            detail: Detail::Switch {
                master: Arc::clone(&name),
                old: old.addr(),
                new: Addr::new(new_ip.unwrap_or(Ip(0)), port),
            },
        };
        cx.out.note(Kind::Sentinel(event));
        let payload = format!("{name} {} {} {new} {new_port}", self.announced(old), old.port);
        self.spread(cx, Level::Warning, SentinelEventName::SwitchMaster, Some(master), payload);
    }

    fn say(
        &mut self,
        cx: &mut Cx<'_>,
        level: Level,
        name: SentinelEventName,
        about: Option<Id>,
        of: Option<Id>,
        detail: Detail,
    ) -> EventId {
        let instance = about.map(|id| Box::new(self.described(id)));
        let heard = self.is_heard(level, name, of);
        let payload = heard.then(|| self.payload(about, &detail));
        let event = cx.out.note(Kind::Sentinel(SentinelEvent::Said { name, instance, detail }));
        if let Some(payload) = payload {
            self.spread(cx, level, name, of, payload);
        }
        event
    }

    fn described(&self, id: Id) -> event::Instance {
        let instance = self.at(id);
        let master = self.at(instance.master);
        event::Instance {
            kind: instance.kind,
            name: instance.name.clone(),
            addr: instance.addr.addr(),
            master: master.name.clone(),
            master_addr: master.addr.addr(),
        }
    }

    /// Whether anybody would get the payload: it need not be made otherwise.
    fn is_heard(&self, level: Level, name: SentinelEventName, of: Option<Id>) -> bool {
        match level {
            Level::Debug => false,
            Level::Notice => self.clients.has_audience(name.as_str().as_bytes()),
            Level::Warning => {
                of.is_some_and(|id| self.group(self.at(id).master).notification_script.is_some())
                    || self.clients.has_audience(name.as_str().as_bytes())
            }
        }
    }

    /// The text that is published.
    fn payload(&self, about: Option<Id>, detail: &Detail) -> String {
        let mut text = String::new();
        if let Some(id) = about {
            let instance = self.at(id);
            self.write_instance(&mut text, instance, &instance.kind.to_string());
            if !instance.is_master() {
                text.push_str(" @");
                self.write_instance(&mut text, self.at(instance.master), "");
            }
        }
        if *detail != Detail::None {
            let gap = if text.is_empty() { "" } else { " " };
            write!(text, "{gap}{detail}").expect("writing to a string can't fail");
        }
        text
    }

    fn write_instance(&self, text: &mut String, instance: &Instance, kind: &str) {
        let (name, addr) = (&instance.name, &instance.addr);
        write!(text, "{kind} {name} {} {}", self.announced(addr), addr.port).expect("writing to a string can't fail");
    }

    /// To subscribers, and to the master's notification script.
    fn spread(&mut self, cx: &mut Cx<'_>, level: Level, name: SentinelEventName, of: Option<Id>, payload: String) {
        if level == Level::Debug {
            return;
        }
        self.publish(cx, name.as_str().as_bytes(), payload.as_bytes());
        let script = of.and_then(|id| self.group(self.at(id).master).notification_script.clone());
        if level == Level::Warning
            && let Some(script) = script
        {
            self.scripts.add(vec![script, name.as_str().into(), payload.into()]);
        }
    }
}

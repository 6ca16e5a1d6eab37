//! SUBSCRIBE, PUBLISH and their relatives.

use bytes::Bytes;

use super::flag::{FAST, LOADING, MAY_REPLICATE, NOSCRIPT, PUBSUB, STALE};
use super::{Spec, container, row};
use crate::server::call::{Cx, TO_REPLICAS};
use crate::server::clients::is_replica;
use crate::server::glob;
use crate::server::pubsub::Topic;
use crate::server::session::Flags;

/// The rows of this group.
#[rustfmt::skip]
pub(crate) const SPECS: &[Spec] = &[
    row("subscribe", -2, PUBSUB | NOSCRIPT | LOADING | STALE, (0, 0, 0), "@pubsub @slow", subscribe),
    row("unsubscribe", -1, PUBSUB | NOSCRIPT | LOADING | STALE, (0, 0, 0), "@pubsub @slow", unsubscribe),
    row("psubscribe", -2, PUBSUB | NOSCRIPT | LOADING | STALE, (0, 0, 0), "@pubsub @slow", psubscribe),
    row("punsubscribe", -1, PUBSUB | NOSCRIPT | LOADING | STALE, (0, 0, 0), "@pubsub @slow", punsubscribe),
    row("ssubscribe", -2, PUBSUB | NOSCRIPT | LOADING | STALE, (1, -1, 1), "@pubsub @slow", ssubscribe),
    row("sunsubscribe", -1, PUBSUB | NOSCRIPT | LOADING | STALE, (1, -1, 1), "@pubsub @slow", sunsubscribe),
    row("publish", 3, PUBSUB | LOADING | STALE | FAST | MAY_REPLICATE, (0, 0, 0), "@pubsub @fast", publish),
    row("spublish", 3, PUBSUB | LOADING | STALE | FAST | MAY_REPLICATE, (1, 1, 1), "@pubsub @fast", spublish),
    container(row("pubsub", -2, 0, (0, 0, 0), "@slow", super::no_handler), PUBSUB_SUBS),
];

#[rustfmt::skip]
const PUBSUB_SUBS: &[Spec] = &[
    row("pubsub|channels", -2, PUBSUB | LOADING | STALE, (0, 0, 0), "@pubsub @slow", pubsub_channels),
    row("pubsub|help", 2, LOADING | STALE, (0, 0, 0), "@slow", pubsub_help),
    row("pubsub|numpat", 2, PUBSUB | LOADING | STALE, (0, 0, 0), "@pubsub @slow", pubsub_numpat),
    row("pubsub|numsub", -2, PUBSUB | LOADING | STALE, (0, 0, 0), "@pubsub @slow", pubsub_numsub),
    row("pubsub|shardchannels", -2, PUBSUB | LOADING | STALE, (0, 0, 0), "@pubsub @slow", pubsub_shardchannels),
    row("pubsub|shardnumsub", -2, PUBSUB | LOADING | STALE, (0, 0, 0), "@pubsub @slow", pubsub_shardnumsub),
];

fn subscribe(cx: &mut Cx<'_>) {
    subscribe_all(cx, Topic::Channel, b"subscribe");
}

fn psubscribe(cx: &mut Cx<'_>) {
    subscribe_all(cx, Topic::Pattern, b"psubscribe");
}

fn ssubscribe(cx: &mut Cx<'_>) {
    subscribe_all(cx, Topic::Shard, b"ssubscribe");
}

fn unsubscribe(cx: &mut Cx<'_>) {
    unsubscribe_some(cx, Topic::Channel, b"unsubscribe");
}

fn punsubscribe(cx: &mut Cx<'_>) {
    unsubscribe_some(cx, Topic::Pattern, b"punsubscribe");
}

fn sunsubscribe(cx: &mut Cx<'_>) {
    unsubscribe_some(cx, Topic::Shard, b"sunsubscribe");
}

/// Confirms a subscription or its end.
fn confirm(cx: &mut Cx<'_>, topic: Topic, word: &[u8], name: Option<&[u8]>) {
    let count = cx.session().subscriptions.as_ref().map_or(0, |own| own.count(topic));
    // It reaches also those who don't want replies.
    cx.forget_unheard();
    cx.add_push(3);
    cx.add_bulk(word);
    match name {
        Some(name) => cx.add_bulk(name),
        None => cx.add_null(),
    }
    cx.add_count(count);
    if !cx.session().flags.has(Flags::MASTER) && !is_replica(cx.session()) {
        cx.s.exec.heard = cx.session().reply.len();
    }
}

fn subscribe_all(cx: &mut Cx<'_>, topic: Topic, word: &[u8]) {
    let args = cx.args;
    if topic == Topic::Shard && cx.s.exec.in_exec {
        return cx.add_error("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client");
    }
    for i in 1..args.len() {
        cx.s.subscribe(cx.fd, topic, &args.bytes(i));
        confirm(cx, topic, word, Some(args.get(i)));
    }
}

fn unsubscribe_some(cx: &mut Cx<'_>, topic: Topic, word: &[u8]) {
    let args = cx.args;
    let mut names: Vec<Bytes> = (1..args.len()).map(|i| args.bytes(i)).collect();
    if names.is_empty() {
        names = cx.session().subscriptions.as_ref().map_or_else(Vec::new, |own| own.of(topic).to_vec());
        if names.is_empty() {
            confirm(cx, topic, word, None);
        }
    }
    for name in names {
        cx.s.unsubscribe(cx.fd, topic, &name);
        confirm(cx, topic, word, Some(&name));
    }
    let session = cx.session_mut();
    if session.subscriptions.as_ref().is_none_or(|own| own.is_empty()) {
        session.subscriptions = None;
        session.flags.clear(Flags::PUBSUB);
    }
}

fn publish(cx: &mut Cx<'_>) {
    let args = cx.args;
    let receivers = cx.s.publish(args.get(1), args.get(2), false);
    cx.force_propagation(TO_REPLICAS);
    cx.add_count(receivers);
}

fn spublish(cx: &mut Cx<'_>) {
    let args = cx.args;
    let receivers = cx.s.publish(args.get(1), args.get(2), true);
    cx.force_propagation(TO_REPLICAS);
    cx.add_count(receivers);
}

fn list(cx: &mut Cx<'_>, topic: Topic) {
    let args = cx.args;
    if args.len() > 3 {
        return cx.add_subcommand_error();
    }
    let pattern = (args.len() > 2).then(|| args.get(2));
    let names: Vec<Bytes> =
        cx.s.pubsub
            .topics(topic)
            .keys()
            .filter(|name| pattern.is_none_or(|pattern| glob::matches(pattern, name, false)))
            .cloned()
            .collect();
    cx.add_array(names.len());
    for name in names {
        cx.add_bulk(&name);
    }
}

fn counts(cx: &mut Cx<'_>, topic: Topic) {
    let args = cx.args;
    cx.add_array((args.len() - 2) * 2);
    for i in 2..args.len() {
        let count = cx.s.pubsub.topics(topic).get(args.get(i)).map_or(0, Vec::len);
        cx.add_bulk_arg(i);
        cx.add_count(count);
    }
}

fn pubsub_channels(cx: &mut Cx<'_>) {
    list(cx, Topic::Channel);
}

fn pubsub_shardchannels(cx: &mut Cx<'_>) {
    list(cx, Topic::Shard);
}

fn pubsub_numsub(cx: &mut Cx<'_>) {
    counts(cx, Topic::Channel);
}

fn pubsub_shardnumsub(cx: &mut Cx<'_>) {
    counts(cx, Topic::Shard);
}

fn pubsub_numpat(cx: &mut Cx<'_>) {
    let count = cx.s.pubsub.topics(Topic::Pattern).len();
    cx.add_count(count);
}

fn pubsub_help(cx: &mut Cx<'_>) {
    cx.add_help(
        "pubsub",
        &[
            "CHANNELS [<pattern>]",
            "    Return the currently active channels matching a <pattern> (default: '*').",
            "NUMPAT",
            "    Return number of subscriptions to patterns.",
            "NUMSUB [<channel> ...]",
            "    Return the number of subscribers for the specified channels, excluding",
            "    pattern subscriptions(default: no channels).",
            "SHARDCHANNELS [<pattern>]",
            "    Return the currently active shard level channels matching a <pattern> (default: '*').",
            "SHARDNUMSUB [<shardchannel> ...]",
            "    Return the number of subscribers for the specified shard level channel(s)",
        ],
    );
}

//! CLIENT TRACKING, CACHING, GETREDIR and TRACKINGINFO.

use bytes::Bytes;

use crate::resp::lossless;
use crate::server::call::Cx;
use crate::server::tracking::Mode;

pub(super) fn getredir(cx: &mut Cx<'_>) {
    let redirect = redirect_of(cx);
    cx.add_integer(redirect);
}

fn redirect_of(cx: &Cx<'_>) -> i64 {
    let mode = cx.session().tracking.as_ref();
    mode.map_or(-1, |mode| i64::try_from(mode.redirect).unwrap_or(i64::MAX))
}

/// The options; `None`: an error was answered.
fn options(cx: &mut Cx<'_>) -> Option<(Mode, Vec<Bytes>)> {
    let args = cx.args;
    let (mut mode, mut prefixes) = (Mode::default(), Vec::new());
    let mut i = 3;
    while i < args.len() {
        let more = i + 1 < args.len();
        match args.get(i).to_ascii_lowercase().as_slice() {
            b"redirect" if more => {
                i += 1;
                if mode.redirect != 0 {
                    cx.add_error("ERR A client can only redirect to a single other client");
                    return None;
                }
                let id = cx.int_arg(i)?.cast_unsigned();
                if cx.s.sessions.by_id(id).is_none() {
                    cx.add_error("ERR The client ID you want redirect to does not exist");
                    return None;
                }
                mode.redirect = id;
            }
            b"bcast" => mode.bcast = true,
            b"optin" => mode.optin = true,
            b"optout" => mode.optout = true,
            b"noloop" => mode.noloop = true,
            b"prefix" if more => {
                i += 1;
                prefixes.push(Bytes::copy_from_slice(args.get(i)));
            }
            _ => {
                cx.add_syntax_error();
                return None;
            }
        }
        i += 1;
    }
    Some((mode, prefixes))
}

/// What keeps the options from being used, together or after the ones that hold now.
fn conflict(cx: &Cx<'_>, mode: &Mode, prefixes: &[Bytes]) -> Option<&'static str> {
    let old = cx.session().tracking.as_ref();
    if !mode.bcast && !prefixes.is_empty() {
        Some("ERR PREFIX option requires BCAST mode to be enabled")
    } else if old.is_some_and(|old| old.bcast != mode.bcast) {
        Some(
            "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it \
             with a different mode.",
        )
    } else if mode.bcast && (mode.optin || mode.optout) {
        Some("ERR OPTIN and OPTOUT are not compatible with BCAST")
    } else if mode.optin && mode.optout {
        Some("ERR You can't specify both OPTIN mode and OPTOUT mode")
    } else if old.is_some_and(|old| mode.optin && old.optout || mode.optout && old.optin) {
        Some(
            "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it \
             with a different mode.",
        )
    } else {
        None
    }
}

fn overlap(one: &[u8], other: &[u8]) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// False when prefixes overlap with older ones or with the first of the new ones, which was answered. An overlap among
/// the others is answered too, and then they are taken all the same, as a real server does.
fn prefixes_are_apart(cx: &mut Cx<'_>, prefixes: &[Bytes]) -> bool {
    let text = |bytes: &Bytes| lossless(bytes);
    let old: Vec<Bytes> =
        cx.session().tracking.as_ref().map_or_else(Vec::new, |mode| mode.prefixes.iter().cloned().collect());
    for (i, prefix) in prefixes.iter().enumerate() {
        if let Some(other) = old.iter().find(|other| overlap(other, prefix)) {
            let (prefix, other) = (text(prefix), text(other));
            cx.add_error(&format!(
                "ERR Prefix '{prefix}' overlaps with an existing prefix '{other}'. Prefixes for a single client must not \
                 overlap."
            ));
            return false;
        }
        if let Some(other) = prefixes[i + 1..].iter().find(|other| overlap(other, prefix)) {
            let (prefix, other) = (text(prefix), text(other));
            cx.add_error(&format!(
                "ERR Prefix '{prefix}' overlaps with another provided prefix '{other}'. Prefixes for a single client must \
                 not overlap."
            ));
            return i > 0;
        }
    }
    true
}

pub(super) fn tracking(cx: &mut Cx<'_>) {
    let Some((mut mode, prefixes)) = options(cx) else { return };
    if cx.arg_is(2, "on") {
        if let Some(error) = conflict(cx, &mode, &prefixes) {
            return cx.add_error(error);
        }
        if mode.bcast && !prefixes_are_apart(cx, &prefixes) {
            return;
        }
        if mode.bcast && prefixes.is_empty() {
            mode.prefixes.insert(Bytes::new());
        }
        mode.prefixes.extend(prefixes);
        cx.s.enable_tracking(cx.fd, mode);
    } else if cx.arg_is(2, "off") {
        cx.s.disable_tracking(cx.fd);
    } else {
        return cx.add_syntax_error();
    }
    cx.add_ok();
}

pub(super) fn caching(cx: &mut Cx<'_>) {
    let (yes, no) = (cx.arg_is(2, "yes"), cx.arg_is(2, "no"));
    let Some(mode) = &mut cx.session_mut().tracking else {
        return cx.add_error(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
        );
    };
    if yes && mode.optin || no && mode.optout {
        mode.caching = true;
        cx.add_ok();
    } else if yes {
        cx.add_error("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
    } else if no {
        cx.add_error("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");
    } else {
        cx.add_syntax_error();
    }
}

pub(super) fn tracking_info(cx: &mut Cx<'_>) {
    let mode = cx.session().tracking.clone();
    let mut flags = vec![if mode.is_some() { "on" } else { "off" }];
    if let Some(mode) = &mode {
        let words = [
            (mode.bcast, "bcast"),
            (mode.optin, "optin"),
            (mode.optin && mode.caching, "caching-yes"),
            (mode.optout, "optout"),
            (mode.optout && mode.caching, "caching-no"),
            (mode.noloop, "noloop"),
            (mode.broken, "broken_redirect"),
        ];
        flags.extend(words.iter().filter(|(on, _)| *on).map(|(_, word)| *word));
    }
    cx.add_map(3);
    cx.add_bulk(b"flags");
    cx.add_set(flags.len());
    flags.iter().for_each(|word| cx.add_bulk(word.as_bytes()));
    cx.add_bulk(b"redirect");
    let redirect = redirect_of(cx);
    cx.add_integer(redirect);
    cx.add_bulk(b"prefixes");
    let prefixes: Vec<Bytes> = mode.map_or_else(Vec::new, |mode| mode.prefixes.into_iter().collect());
    cx.add_array(prefixes.len());
    prefixes.iter().for_each(|prefix| cx.add_bulk(prefix));
}

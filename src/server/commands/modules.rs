//! MODULE: modules can't be loaded here, and none is (`moduleCommand`).

use super::flag::{ADMIN, LOADING, NO_ASYNC_LOADING, NOSCRIPT, PROTECTED, STALE};
use super::{Spec, container, row};
use crate::server::call::Cx;

/// The row of this group.
pub(crate) const SPECS: &[Spec] = &[container(row("module", -2, 0, (0, 0, 0), "@slow", super::no_handler), SUBS)];

const FLAGS: u64 = ADMIN | NOSCRIPT | NO_ASYNC_LOADING | PROTECTED;

#[rustfmt::skip]
const SUBS: &[Spec] = &[
    row("module|help", 2, LOADING | STALE, (0, 0, 0), "@slow", help),
    row("module|list", 2, ADMIN | NOSCRIPT, (0, 0, 0), "@admin @slow @dangerous", list),
    row("module|load", -3, FLAGS, (0, 0, 0), "@admin @slow @dangerous", load),
    row("module|loadex", -3, FLAGS, (0, 0, 0), "@admin @slow @dangerous", load),
    row("module|unload", 3, FLAGS, (0, 0, 0), "@admin @slow @dangerous", unload),
];

fn list(cx: &mut Cx<'_>) {
    cx.add_array(0);
}

/// No file of this machine can be loaded.
fn load(cx: &mut Cx<'_>) {
    cx.add_error("ERR Error loading the extension. Please check the server logs.");
}

fn unload(cx: &mut Cx<'_>) {
    cx.add_error("ERR Error unloading module: no such module with that name");
}

fn help(cx: &mut Cx<'_>) {
    cx.add_help(
        "module",
        &[
            "LIST",
            "    Return a list of loaded modules.",
            "LOAD <path> [<arg> ...]",
            "    Load a module library from <path>, passing to it any optional arguments.",
            "LOADEX <path> [[CONFIG NAME VALUE] [CONFIG NAME VALUE]] [ARGS ...]",
            "    Load a module library from <path>, while passing it module configurations and optional arguments.",
            "UNLOAD <name>",
            "    Unload a module.",
        ],
    );
}

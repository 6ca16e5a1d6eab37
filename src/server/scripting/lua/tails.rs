//! `return next(x)`: a function that is called last takes the place of its caller, unless it is one in C, and without the caller
//! an error has no line. Functions of ours in Lua that stand for ones in C (`sandbox.lua`) are therefore not called last by
//! scripts that call them by their own names: their compiled code calls them and returns what they returned.

use super::bytecode::{Instruction, Proto, op};

/// Globals that are such functions.
const GLOBALS: [&[u8]; 12] = [
    b"collectgarbage",
    b"getmetatable",
    b"load",
    b"loadstring",
    b"next",
    b"pairs",
    b"pcall",
    b"rawget",
    b"rawset",
    b"setmetatable",
    b"tostring",
    b"xpcall",
];
/// Fields of global tables that are.
const FIELDS: [(&[u8], &[u8]); 3] = [(b"coroutine", b"resume"), (b"coroutine", b"wrap"), (b"redis", b"acl_check_cmd")];

/// True if a text may name one of them.
pub(super) fn may_matter(text: &[u8]) -> bool {
    let mentions = |word: &[u8]| memchr::memmem::find(text, word).is_some();
    mentions(b"return")
        && (GLOBALS.iter().any(|name| mentions(name)) || FIELDS.iter().any(|(_, field)| mentions(field)))
}

/// The compiled code with such calls; `None`: it has none.
pub(super) fn kept(chunk: &[u8]) -> Option<Vec<u8>> {
    let main = Proto::of(chunk)?;
    let mut changes = Vec::new();
    collect(&main, &mut changes);
    if changes.is_empty() {
        return None;
    }
    let mut changed = chunk.to_vec();
    for (at, instruction) in changes {
        changed[at..at + 4].copy_from_slice(&instruction.to_le_bytes());
    }
    Some(changed)
}

fn collect(proto: &Proto<'_>, changes: &mut Vec<(usize, u32)>) {
    for (pc, at) in proto.code.iter().enumerate() {
        if at.op() == op::TAILCALL && calls_ours(proto, pc, at.a()) {
            changes.push((proto.at + pc * 4, at.0 & !0x3f | op::CALL));
        }
    }
    proto.protos.iter().for_each(|inner| collect(inner, changes));
}

/// Whether the function in that register at that point is one of ours.
fn calls_ours(proto: &Proto<'_>, pc: usize, register: usize) -> bool {
    let Some(loaded) = proto.code[..pc].iter().rposition(|at| at.a() == register && writes(*at)) else { return false };
    let text = |constant: usize| proto.texts.get(constant).copied().flatten();
    let at = proto.code[loaded];
    match at.op() {
        op::GETGLOBAL => text(at.bx()).is_some_and(|name| GLOBALS.contains(&name)),
        op::GETTABLE => {
            let field = at.c().checked_sub(256).and_then(text);
            let table = loaded.checked_sub(1).map(|before| proto.code[before]);
            let table = table.filter(|before| before.op() == op::GETGLOBAL && before.a() == at.b());
            let table = table.and_then(|before| text(before.bx()));
            table.zip(field).is_some_and(|both| FIELDS.contains(&both))
        }
        _ => false,
    }
}

/// It puts something into its first register.
fn writes(at: Instruction) -> bool {
    !matches!(
        at.op(),
        op::SETGLOBAL..=op::SETTABLE | op::JMP..=op::TEST | op::RETURN | op::FORLOOP..=op::CLOSE | op::TAILCALL
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_calls_of_ours_by_their_names_are_changed() {
        let lua = mlua::Lua::new();
        let changed = |code: &str| {
            let chunk = lua.load(code).into_function().expect("valid code").dump(false);
            let differing = kept(&chunk).map_or(0, |kept| {
                assert_eq!(kept.len(), chunk.len());
                kept.iter().zip(&chunk).filter(|(new, old)| new != old).count()
            });
            (may_matter(code.as_bytes()), differing)
        };
        for (code, calls) in [
            ("return next(nil)", 1),
            ("local t = {} if t then return pairs(t and t.x or {}, f(1)) end return setmetatable(1, 2)", 2),
            ("local f = function(x) return redis.acl_check_cmd(x) end return f(1)", 1),
            ("return coroutine.wrap(function() return tostring() end)", 2),
        ] {
            assert_eq!(changed(code), (true, calls), "{code}");
        }
        for code in ["local next = f return next(1)", "return redis.call('x')", "return t.next(1)", "local x = next(1)"]
        {
            assert_eq!(changed(code).1, 0, "{code}");
        }
    }
}

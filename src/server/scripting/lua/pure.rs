//! Whether functions of a library can leave anything behind in its variables, by a look at its compiled code. In doubt they
//! can: then what they are called with is kept (`journal.rs`), and nothing else is different.
//!
//! What outlives a call is what functions share with the code around them: their upvalues, and tables that can be reached from
//! these. A function is harmless if it assigns to no upvalue, changes no table that may be one of those, hands none to another
//! function, puts none into a table and returns none. If all are, arguments and results never are such tables either.

use super::bytecode::{Instruction, Proto, op};

/// Registers that a function has at most.
const REGISTERS: usize = 256;

/// True if no function in this chunk can change what another call finds.
pub(super) fn is_pure(chunk: &[u8]) -> bool {
    let Some(main) = Proto::of(chunk) else { return false };
    let kinds = plain_locals(&main);
    closures(&main).all(|(proto, captured)| {
        let lasting: Vec<bool> = captured
            .iter()
            .map(|from| from.op() != op::MOVE || !kinds.get(from.b()).is_some_and(|plain| *plain))
            .collect();
        is_harmless(proto, &lasting)
    })
}

/// The functions that a function makes, each with the instructions that say where its upvalues come from.
fn closures<'p, 'a>(proto: &'p Proto<'a>) -> impl Iterator<Item = (&'p Proto<'a>, &'p [Instruction])> {
    proto.code.iter().enumerate().filter(|(pc, at)| at.op() == op::CLOSURE && !is_data(proto, *pc)).filter_map(
        |(pc, at)| {
            let inner = proto.protos.get(at.bx())?;
            Some((inner, proto.code.get(pc + 1..pc + 1 + usize::from(inner.upvalues))?))
        },
    )
}

/// It belongs to the instruction before it.
fn is_data(proto: &Proto<'_>, pc: usize) -> bool {
    let before = pc.checked_sub(1).map(|before| proto.code[before]);
    before.is_some_and(|before| before.op() == op::SETLIST && before.c() == 0)
}

/// Registers of the library's own code that never hold anything but numbers, texts and functions.
fn plain_locals(main: &Proto<'_>) -> Vec<bool> {
    let mut plain = vec![true; REGISTERS];
    let mut skip = 0;
    for (pc, at) in main.code.iter().enumerate() {
        if skip > 0 || is_data(main, pc) {
            skip -= usize::from(skip > 0);
            continue;
        }
        match at.op() {
            op::LOADK | op::LOADBOOL | op::LOADNIL | op::ADD..=op::CONCAT => {}
            op::CLOSURE => skip = main.protos.get(at.bx()).map_or(0, |inner| usize::from(inner.upvalues)),
            // These set no register.
            op::SETGLOBAL..=op::SETTABLE | op::JMP..=op::TEST | op::RETURN | op::SETLIST | op::CLOSE => {}
            // Several registers from this one on.
            op::CALL | op::TAILCALL | op::VARARG | op::SELF | op::FORLOOP..=op::TFORLOOP => {
                plain[at.a()..].fill(false);
            }
            _ => plain[at.a()] = false,
        }
    }
    plain
}

/// Registers that may hold something that lasts.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Lasting([u64; 4]);

impl Lasting {
    fn has(&self, register: usize) -> bool {
        register < REGISTERS && self.0[register / 64] >> (register % 64) & 1 == 1
    }

    fn set(&mut self, register: usize, lasting: bool) {
        if register < REGISTERS {
            let bit = 1 << (register % 64);
            if lasting {
                self.0[register / 64] |= bit;
            } else {
                self.0[register / 64] &= !bit;
            }
        }
    }

    fn any(&self, mut registers: std::ops::Range<usize>) -> bool {
        registers.any(|register| self.has(register))
    }

    fn join(&mut self, other: Lasting) {
        self.0.iter_mut().zip(other.0).for_each(|(own, other)| *own |= other);
    }
}

/// Follows what may last through a function, along all ways through it, until nothing new is found.
fn is_harmless(proto: &Proto<'_>, upvalues: &[bool]) -> bool {
    let mut states: Vec<Option<Lasting>> = vec![None; proto.code.len()];
    let mut waiting = vec![(0, Lasting([0; 4]))];
    while let Some((pc, found)) = waiting.pop() {
        let Some(known) = states.get_mut(pc) else { return false };
        let mut state = known.unwrap_or(Lasting([0; 4]));
        state.join(found);
        if *known == Some(state) {
            continue;
        }
        *known = Some(state);
        let at = proto.code[pc];
        if !may_execute(at, &state, upvalues) || !follow(proto, pc, &mut state, upvalues, &mut waiting) {
            return false;
        }
    }
    closures(proto).all(|(inner, captured)| {
        // What it shares with this function may be anything.
        let lasting: Vec<bool> = captured
            .iter()
            .map(|from| from.op() == op::MOVE || upvalues.get(from.b()).is_none_or(|lasting| *lasting))
            .collect();
        is_harmless(inner, &lasting)
    })
}

/// Whether an instruction leaves alone what lasts, as far as it is known.
fn may_execute(at: Instruction, state: &Lasting, upvalues: &[bool]) -> bool {
    let (a, b, c) = (at.a(), at.b(), at.c());
    let rest = |from: usize, count: usize| if count == 0 { from..REGISTERS } else { from..from + count - 1 };
    match at.op() {
        op::SETUPVAL => false,
        op::SETTABLE => !state.has(a) && !state.has(b) && !state.has(c),
        op::SETGLOBAL => !state.has(a),
        op::CALL | op::TAILCALL => !state.any(rest(a + 1, b)),
        op::RETURN => !state.any(rest(a, b)),
        op::TFORLOOP => !state.any(a + 1..a + 3),
        op::SETLIST => !state.any(if b == 0 { a + 1..REGISTERS } else { a + 1..a + 1 + b }),
        op::GETUPVAL => b < upvalues.len(),
        _ => true,
    }
}

/// What an instruction makes of its registers, and where it leads. False if that can't be told.
fn follow(
    proto: &Proto<'_>,
    pc: usize,
    state: &mut Lasting,
    upvalues: &[bool],
    waiting: &mut Vec<(usize, Lasting)>,
) -> bool {
    let at = proto.code[pc];
    let (a, b, c) = (at.a(), at.b(), at.c());
    let mut next = pc + 1;
    match at.op() {
        op::MOVE | op::GETTABLE => state.set(a, state.has(b)),
        op::GETUPVAL => state.set(a, upvalues.get(b).is_none_or(|lasting| *lasting)),
        op::SELF => {
            let lasting = state.has(b);
            state.set(a + 1, lasting);
            state.set(a, lasting);
        }
        op::LOADNIL => (a..=b).for_each(|register| state.set(register, false)),
        op::TESTSET => {
            waiting.push((pc + 2, *state));
            state.set(a, state.has(a) || state.has(b));
        }
        op::EQ..=op::TEST => waiting.push((pc + 2, *state)),
        op::LOADBOOL => {
            state.set(a, false);
            next += usize::from(c != 0);
        }
        op::JMP | op::FORPREP => match at.jump(pc) {
            Some(to) => next = to,
            None => return false,
        },
        op::FORLOOP => match at.jump(pc) {
            Some(to) => {
                state.set(a, false);
                state.set(a + 3, false);
                waiting.push((to, *state));
            }
            None => return false,
        },
        op::TFORLOOP => {
            waiting.push((pc + 2, *state));
            (a + 2..a + 3 + c).for_each(|register| state.set(register, false));
        }
        op::CALL | op::VARARG => {
            let results = if at.op() == op::CALL { c } else { b };
            let end = if results == 0 { REGISTERS } else { a + results - 1 };
            (a..end).for_each(|register| state.set(register, false));
        }
        op::SETLIST => next += usize::from(c == 0),
        op::CLOSURE => {
            let Some(inner) = proto.protos.get(at.bx()) else { return false };
            state.set(a, false);
            next += usize::from(inner.upvalues);
        }
        op::RETURN => return true,
        // They only look, or write what was looked at already.
        op::SETGLOBAL | op::SETUPVAL | op::SETTABLE | op::TAILCALL | op::CLOSE => {}
        // A constant, a global, a new table, the result of an operator.
        _ => state.set(a, false),
    }
    waiting.push((next, *state));
    true
}

#[cfg(test)]
mod tests {
    use super::is_pure;

    fn pure(code: &str) -> bool {
        is_pure(&mlua::Lua::new().load(code).into_function().expect("valid code").dump(true))
    }

    const HARMLESS: &[&str] = &[
        "redis.register_function('f', function(keys, args) return redis.call('set', keys[1], args[1]) end)",
        "local function help(t, v) t[#t + 1] = v return t end\n\
         redis.register_function('f', function(k, a) local t = {} for i = 1, 3 do help(t, a[i]) end return t end)",
        "local prefix, most = 'p:', 10\nlocal function key(k) return prefix .. k end\n\
         redis.register_function('f', function(k) if #k[1] > most then return redis.error_reply('x') end\n\
         return redis.call('get', key(k[1]), prefix) end)",
        "local config = { ttl = 10, names = { 'a', 'b' } }\n\
         redis.register_function('f', function(k) local t = { ttl = config.ttl + 1 } t.x = config.names[1] .. 'x' return t.x end)",
        "redis.register_function('f', function(k, a) local seen = {} for i, v in ipairs(a) do seen[v] = true end\n\
         table.sort(a, function(x, y) return x < y end) return cjson.encode(a) end)",
    ];

    const KEEPING: &[&str] = &[
        "local n = 0\nredis.register_function('f', function() n = n + 1 return n end)",
        "local memo = {}\nredis.register_function('f', function(k) memo[k[1]] = 1 return #memo end)",
        "local memo = {}\nredis.register_function('f', function(k) local m = memo m[k[1]] = 1 return 1 end)",
        "local memo = { a = {} }\nredis.register_function('f', function(k) local m if k[1] then m = {} else m = memo.a end m.x = 1 return 1 end)",
        "local memo = {}\nredis.register_function('f', function(k) table.insert(memo, k[1]) return 1 end)",
        "local memo = {}\nredis.register_function('f', function(k) local t = { memo } t[1].x = 1 return 1 end)",
        "local memo = {}\nlocal function get() return memo end\n\
         redis.register_function('f', function(k) local t = get() t.x = 1 return 1 end)",
        "local function counter() local n = 0 return function() n = n + 1 return n end end\nlocal c = counter()\n\
         redis.register_function('f', function() return c() end)",
        "local memo = {}\nredis.register_function('f', function(k) for i = 1, 3 do local m = memo m[i] = i end return 1 end)",
        "local memo = {}\nredis.register_function('f', function(k) local g = function() memo.x = 1 end g() return 1 end)",
        "local memo = {}\nredis.register_function('f', function(k) local m = k[1] == 'x' and memo or {} m.x = 1 return 1 end)",
        "local memo = {}\nredis.register_function('f', function(k) memo:insert(1) return 1 end)",
    ];

    #[test]
    fn functions_that_keep_something_are_found() {
        let wrong: Vec<&&str> =
            HARMLESS.iter().filter(|code| !pure(code)).chain(KEEPING.iter().filter(|code| pure(code))).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn what_is_no_code_may_keep_anything() {
        assert!(!is_pure(b"") && !is_pure(b"\x1bLua"));
    }
}

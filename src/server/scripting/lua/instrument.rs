//! Compiled code of a script that is debugged. Lua's debug library, which reads the variables of running functions, is out of
//! reach without unsafe code. So the code itself is made to tell: wherever a line may begin, and wherever the set of local
//! variables changes, it makes a function that returns these variables and hands it to the debugger, by an assignment to a
//! global that no script can name. Everything else stays as it is: lines, names, what is captured, who calls whom.
//!
//! Nothing can be put between a call that returns all its results and what takes them. If these are on different lines the
//! debugger is told before how many lines will begin without another word.

use super::bytecode::{HEADER, Instruction, Reader, op};

/// What the debugger's globals begin with.
pub(super) const MARK: &[u8] = b"\x1bdebugger ";
/// Registers that a function may have.
const MOST_REGISTERS: u8 = 250;
/// What jumps are relative to.
const BIAS: usize = 131_071;

/// A place at which the code speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Point {
    /// The local variables, in the order of their registers.
    pub(super) names: Vec<Vec<u8>>,
    /// So many lines begin before it speaks again.
    pub(super) silent: u32,
}

/// A function with all that its compiled form has.
struct Whole<'a> {
    source: &'a [u8],
    lines: [u32; 2],
    upvalues: u8,
    params: u8,
    vararg: u8,
    registers: u8,
    code: Vec<Instruction>,
    /// Constants, encoded.
    constants: Vec<Vec<u8>>,
    protos: Vec<Vec<u8>>,
    /// How many upvalues the functions in it have.
    inner_upvalues: Vec<u8>,
    line_of: Vec<u32>,
    locals: Vec<Local<'a>>,
    upvalue_names: Vec<&'a [u8]>,
}

/// A variable, and between which instructions it is one.
struct Local<'a> {
    name: &'a [u8],
    from: usize,
    to: usize,
}

/// The code that speaks, and the points at which it does; `None`: this isn't compiled code with lines and names.
pub(super) fn speaking(chunk: &[u8]) -> Option<(Vec<u8>, Vec<Point>)> {
    let mut points = Vec::new();
    let mut reader = Reader::new(chunk.strip_prefix(&HEADER)?);
    let mut out = HEADER.to_vec();
    let (function, _) = speaking_function(&mut reader, &mut points)?;
    out.extend_from_slice(&function);
    Some((out, points))
}

/// A text with its length, as it is encoded.
fn encoded<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let (low, high) = (*reader.rest.first_chunk::<4>()?, reader.rest.get(4..8)?);
    let len = usize::try_from(u32::from_le_bytes(low)).ok()?;
    if high != [0; 4] {
        return None;
    }
    reader.take(8 + len)
}

/// Reads a function and makes it speak; how many upvalues it has comes with it.
fn speaking_function(reader: &mut Reader<'_>, points: &mut Vec<Point>) -> Option<(Vec<u8>, u8)> {
    let source = encoded(reader)?;
    let lines = [reader.int()?, reader.int()?];
    let (upvalues, params, vararg, registers) = (reader.byte()?, reader.byte()?, reader.byte()?, reader.byte()?);
    let code = reader.many(|reader| reader.int().map(Instruction))?;
    let constants = reader.many(|reader| {
        let before = reader.rest;
        match reader.byte()? {
            0 => {}
            1 => drop(reader.take(1)?),
            3 => drop(reader.take(8)?),
            4 => drop(encoded(reader)?),
            _ => return None,
        }
        Some(before[..before.len() - reader.rest.len()].to_vec())
    })?;
    let inner = reader.many(|reader| speaking_function(reader, points))?;
    let line_of = reader.many(Reader::int)?;
    let locals = reader.many(|reader| {
        let name = encoded(reader)?.get(8..)?.strip_suffix(b"\0")?;
        let (from, to) = (reader.int()? as usize, reader.int()? as usize);
        Some(Local { name, from, to })
    })?;
    let upvalue_names = reader.many(encoded)?;
    let (protos, inner_upvalues) = inner.into_iter().unzip();
    let whole = Whole {
        source,
        lines,
        upvalues,
        params,
        vararg,
        registers,
        code,
        constants,
        protos,
        inner_upvalues,
        line_of,
        locals,
        upvalue_names,
    };
    if whole.line_of.len() != whole.code.len() {
        return None;
    }
    Some((whole.speak(points).encode(), upvalues))
}

/// What an instruction is to be treated as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Something may be put before it.
    Free,
    /// It belongs to the one before it.
    Bound,
    /// It is no instruction.
    Data,
}

/// Its results are all there are.
fn is_open(at: Instruction) -> bool {
    match at.op() {
        op::CALL => at.c() == 0,
        op::TAILCALL => true,
        op::VARARG => at.b() == 0,
        _ => false,
    }
}

impl<'a> Whole<'a> {
    fn parts(&self) -> Vec<Part> {
        let mut parts = vec![Part::Free; self.code.len()];
        let mut pc = 0;
        while pc < self.code.len() {
            let at = self.code[pc];
            let (following, part) = match at.op() {
                op::EQ..=op::TESTSET | op::TFORLOOP => (1, Part::Bound),
                op::CLOSURE => (usize::from(self.inner_upvalues.get(at.bx()).copied().unwrap_or(0)), Part::Data),
                op::SETLIST if at.c() == 0 => (1, Part::Data),
                _ if is_open(at) => (1, Part::Bound),
                _ => (0, Part::Free),
            };
            for behind in parts.iter_mut().skip(pc + 1).take(following) {
                *behind = part;
            }
            // What takes open results may have some of its own.
            pc += if part == Part::Data { following + 1 } else { 1 };
        }
        parts
    }

    /// Where the instruction jumps to.
    fn target(&self, pc: usize, part: Part) -> Option<usize> {
        let at = self.code[pc];
        match at.op() {
            _ if part == Part::Data => None,
            op::JMP | op::FORLOOP | op::FORPREP => at.jump(pc),
            op::LOADBOOL if at.c() != 0 => Some(pc + 2),
            _ => None,
        }
    }

    /// The variables there are when an instruction is about to be executed (`luaF_getlocalname`).
    fn active(&self, pc: usize) -> Vec<&'a [u8]> {
        self.locals.iter().filter(|local| local.from <= pc && pc < local.to).map(|local| local.name).collect()
    }

    /// How many lines begin between a call with open results and the last that takes some.
    fn silent_lines(&self, pc: usize, parts: &[Part]) -> u32 {
        let (mut pc, mut lines) = (pc, 0);
        while is_open(self.code[pc]) && parts.get(pc + 1) == Some(&Part::Bound) {
            lines += u32::from(self.line_of[pc] != self.line_of[pc + 1]);
            pc += 1;
        }
        lines
    }

    fn speak(mut self, points: &mut Vec<Point>) -> Whole<'a> {
        if self.registers >= MOST_REGISTERS {
            return self;
        }
        let parts = self.parts();
        let mut is_target = vec![false; self.code.len() + 1];
        for (pc, &part) in parts.iter().enumerate() {
            if let Some(target) = self.target(pc, part).filter(|target| *target < is_target.len()) {
                is_target[target] = true;
            }
        }
        let mut writer = Writer::new(&self);
        let mut before: Option<Vec<&[u8]>> = None;
        for (pc, &part) in parts.iter().enumerate() {
            writer.starts.push(writer.code.len());
            let line = self.line_of[pc];
            if part == Part::Free {
                let active = self.active(pc);
                let silent = self.silent_lines(pc, &parts);
                let begins = pc == 0 || line != self.line_of[pc - 1] || is_target[pc];
                if begins || silent > 0 || before.as_ref() != Some(&active) {
                    let names = active.iter().map(|name| name.to_vec()).collect();
                    writer.speak(line, &Point { names, silent }, points);
                    before = Some(active);
                }
            }
            let at = self.code[pc];
            if part != Part::Data && at.op() == op::LOADBOOL && at.c() != 0 {
                writer.put(Instruction(at.0 & !(0x1ff << 14)), line);
                writer.jumps.push((writer.code.len(), pc + 2));
                writer.put(Instruction(op::JMP), line);
            } else {
                if let Some(target) = self.target(pc, part) {
                    writer.jumps.push((writer.code.len(), target));
                }
                writer.put(at, line);
            }
        }
        writer.starts.push(writer.code.len());
        let Writer { mut code, lines, constants, getters, starts, jumps, .. } = writer;
        if code.len() > BIAS {
            return self;
        }
        for (at, target) in jumps {
            let relative = starts[target] + BIAS - (at + 1);
            code[at] = Instruction(code[at].0 & 0x3fff | u32::try_from(relative).unwrap_or(0) << 14);
        }
        for local in &mut self.locals {
            (local.from, local.to) = (starts[local.from.min(starts.len() - 1)], starts[local.to.min(starts.len() - 1)]);
        }
        (self.code, self.line_of, self.registers) = (code, lines, self.registers + 1);
        self.constants.extend(constants);
        self.protos.extend(getters.into_iter().map(|(_, getter)| getter));
        self
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = self.source.to_vec();
        let int = |out: &mut Vec<u8>, number: u32| out.extend_from_slice(&number.to_le_bytes());
        let len = |out: &mut Vec<u8>, len: usize| int(out, u32::try_from(len).unwrap_or(u32::MAX));
        self.lines.iter().for_each(|line| int(&mut out, *line));
        out.extend_from_slice(&[self.upvalues, self.params, self.vararg, self.registers]);
        len(&mut out, self.code.len());
        self.code.iter().for_each(|at| int(&mut out, at.0));
        len(&mut out, self.constants.len());
        self.constants.iter().for_each(|constant| out.extend_from_slice(constant));
        len(&mut out, self.protos.len());
        self.protos.iter().for_each(|proto| out.extend_from_slice(proto));
        len(&mut out, self.line_of.len());
        self.line_of.iter().for_each(|line| int(&mut out, *line));
        len(&mut out, self.locals.len());
        for local in &self.locals {
            out.extend_from_slice(&text(local.name));
            len(&mut out, local.from);
            len(&mut out, local.to);
        }
        len(&mut out, self.upvalue_names.len());
        self.upvalue_names.iter().for_each(|name| out.extend_from_slice(name));
        out
    }
}

/// A text with its length and the zero at its end.
fn text(text: &[u8]) -> Vec<u8> {
    let mut out = (text.len() as u64 + 1).to_le_bytes().to_vec();
    out.extend_from_slice(text);
    out.push(0);
    out
}

/// The new code of a function as it is written.
struct Writer {
    code: Vec<Instruction>,
    lines: Vec<u32>,
    /// Where each old instruction begins, with what is put before it.
    starts: Vec<usize>,
    /// Jumps and their old targets.
    jumps: Vec<(usize, usize)>,
    constants: Vec<Vec<u8>>,
    known: Vec<(Point, u32)>,
    getters: Vec<(usize, Vec<u8>)>,
    first_constant: usize,
    first_getter: usize,
    /// A register that nothing else uses.
    free: u32,
}

impl Writer {
    fn new(whole: &Whole<'_>) -> Writer {
        Writer {
            code: Vec::with_capacity(whole.code.len() * 3),
            lines: Vec::with_capacity(whole.code.len() * 3),
            starts: Vec::with_capacity(whole.code.len() + 1),
            jumps: Vec::new(),
            constants: Vec::new(),
            known: Vec::new(),
            getters: Vec::new(),
            first_constant: whole.constants.len(),
            first_getter: whole.protos.len(),
            free: u32::from(whole.registers),
        }
    }

    fn put(&mut self, at: Instruction, line: u32) {
        self.code.push(at);
        self.lines.push(line);
    }

    /// Hands the variables to the debugger.
    fn speak(&mut self, line: u32, point: &Point, points: &mut Vec<Point>) {
        let constant = self.constant(point, points);
        let free = self.free << 6;
        let count = point.names.len();
        if count > 0 {
            let getter = self.getter(count);
            self.put(Instruction(op::CLOSURE | free | getter << 14), line);
            for register in 0..count {
                self.put(Instruction(op::MOVE | u32::try_from(register).unwrap_or(0) << 23), line);
            }
        } else {
            self.put(Instruction(op::LOADNIL | free | self.free << 23), line);
        }
        self.put(Instruction(op::SETGLOBAL | free | constant << 14), line);
    }

    /// The constant that names a point.
    fn constant(&mut self, point: &Point, points: &mut Vec<Point>) -> u32 {
        if let Some((_, constant)) = self.known.iter().find(|(known, _)| known == point) {
            return *constant;
        }
        let mut name = MARK.to_vec();
        name.extend_from_slice(points.len().to_string().as_bytes());
        points.push(point.clone());
        let constant = u32::try_from(self.first_constant + self.constants.len()).unwrap_or(0);
        let mut encoded = vec![4];
        encoded.extend_from_slice(&text(&name));
        self.constants.push(encoded);
        self.known.push((point.clone(), constant));
        constant
    }

    /// The function that returns so many upvalues.
    fn getter(&mut self, count: usize) -> u32 {
        let at = self.getters.iter().position(|(known, _)| *known == count).unwrap_or_else(|| {
            self.getters.push((count, getter(count)));
            self.getters.len() - 1
        });
        u32::try_from(self.first_getter + at).unwrap_or(0)
    }
}

/// A function that returns so many upvalues.
fn getter(count: usize) -> Vec<u8> {
    let number = |count: usize| u32::try_from(count).unwrap_or(0);
    let byte = u8::try_from(count).unwrap_or(u8::MAX);
    let mut code: Vec<Instruction> =
        (0..count).map(|at| Instruction(op::GETUPVAL | number(at) << 6 | number(at) << 23)).collect();
    code.push(Instruction(op::RETURN | number(count + 1) << 23));
    let whole = Whole {
        source: b"\x09\0\0\0\0\0\0\0=[redis]\0",
        lines: [0, 0],
        upvalues: byte,
        params: 0,
        vararg: 0,
        registers: byte.saturating_add(1).max(2),
        code,
        constants: Vec::new(),
        protos: Vec::new(),
        inner_upvalues: Vec::new(),
        line_of: Vec::new(),
        locals: Vec::new(),
        upvalue_names: Vec::new(),
    };
    whole.encode()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a text as it is and as it speaks; what it says goes nowhere.
    fn results(code: &str) -> (Vec<String>, Vec<String>) {
        let lua = mlua::Lua::new();
        let show = |value: mlua::Result<mlua::MultiValue>| match value {
            Ok(values) => values.iter().map(|value| value.to_string().expect("shown")).collect(),
            Err(error) => vec![error.to_string().lines().next().unwrap_or_default().to_owned()],
        };
        let plain = lua.load(code).set_name("@t").into_function().expect("valid code");
        let (speaks, points) = speaking(&plain.dump(false)).expect("compiled code");
        assert!(!points.is_empty());
        let mark = lua.create_string(MARK).expect("made");
        let setup: mlua::Function = lua
            .load(
                "local code, mark = ... said = 0 return setfenv(loadstring(code), setmetatable({}, {__index = _G,
                 __newindex = function(t, k, v) if k:sub(1, #mark) == mark then _G.said = _G.said + 1
                 if v then v() end else rawset(t, k, v) end end}))",
            )
            .into_function()
            .expect("valid code");
        let code = lua.create_string(&speaks).expect("made");
        let speaking: mlua::Function = setup.call((code, mark)).expect("it can be loaded");
        (show(plain.call(())), show(speaking.call(())))
    }

    #[test]
    fn code_that_speaks_does_the_same() {
        for code in [
            "local a = 1\nlocal b = a ==\n 1\nreturn a, tostring(b), not\n b",
            "local t = {}\nfor i = 1, 3 do t[i] = function() i = i + 1 return i end end\nreturn t[1](), t[1](), t[2](),\n t[3]()",
            "local s = 0 for _, x in ipairs{1,\n 2, 3} do if x == 2 then s = s + 10 else s = s + x end end return s",
            "local function f(...) local a, b = ... return select('#',\n ...), a, b end return f(f(1,\n f(2, 3)))",
            "local function f(n) if n == 0 then return 'end' end return f(\n n - 1) end return f(300)",
            "local x = 5\nlocal ok, e = pcall(function()\n x = x + 1\n error('no')\nend)\nreturn ok and 1, e, x",
            "local co = coroutine.wrap(function(a)\n local b = coroutine.yield(a + 1)\n return b\nend)\nreturn co(1), co(7)",
            "local n = 0 while true do n = n + 1 if n > 5 then break end end repeat local m = n n = n - 1 until m < 3 return n",
            "local t = {1, 2,\n unpack({3,\n 4})} return #t, t[4]",
            "return nothing.x",
            "local a\nreturn a.b.c",
            "do local x = 1 end local y = 2 return (function() return y end)()",
        ] {
            let (plain, speaking) = results(code);
            assert_eq!(plain, speaking, "{code}");
        }
    }

    #[test]
    fn points_know_their_variables() {
        let lua = mlua::Lua::new();
        let code = "local a = 1\nfor i = 1, 2 do\n local a = i\n print(a,\n tostring(i))\nend\nreturn a";
        let chunk = lua.load(code).into_function().expect("valid code").dump(false);
        let (_, points) = speaking(&chunk).expect("compiled code");
        let shown: Vec<String> = points
            .iter()
            .map(|point| {
                let names: Vec<_> = point.names.iter().map(|name| String::from_utf8_lossy(name)).collect();
                format!("{} {}", names.join(","), point.silent)
            })
            .collect();
        assert!(shown.contains(&"a,(for index),(for limit),(for step),i,a 0".to_owned()), "{shown:?}");
        assert!(shown.contains(&"a,(for index),(for limit),(for step),i,a 1".to_owned()), "{shown:?}");
        assert_eq!(shown[0], " 0");
    }
}

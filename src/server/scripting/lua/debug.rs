//! The debugger inside of the interpreter: where a script stops, and what its client sees of it there. The code itself hands
//! over its variables (`instrument.rs`); Lua's hook says where a line begins.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use mlua::debug::{Debug, DebugEvent};
use mlua::{Function, HookTriggers, Lua, LuaString, MultiValue, Result, Table, Value, VmState};

use super::errors::{self, OWN, Thrown};
use super::instrument::{self, MARK, Point};
use super::{Interpreter, STEP, Shared, numbers};
use crate::resp::quote;
use crate::server::cost;
use crate::server::scripting::debugger::{Asked, Debugger, Line, human};

/// Nanoseconds that a line takes under the debugger, whatever is in it (an estimate).
const LINE: u64 = 1_000;
/// Tables in tables are shown so deep (`LDB_MAX_VALUES_DEPTH`).
const DEEPEST: usize = 10;
/// After so many instructions the code of an `eval` is an endless loop.
const ENDLESS: u64 = 50_000_000;

/// A function that runs.
#[derive(Clone, Debug, Default)]
struct Frame {
    /// Returns its variables as they are now.
    getter: Option<Function>,
    /// Which of [`Session::points`] it has come to.
    point: usize,
    /// So many lines begin without another word.
    silent: u32,
}

/// What a debugged script and the functions in Rust share.
#[derive(Debug)]
pub(super) struct Session {
    debugger: Rc<RefCell<Debugger>>,
    shared: Rc<Shared>,
    points: Vec<Point>,
    /// Of each coroutine, by its address: the functions that run, outermost first. Some of the last may be over.
    frames: RefCell<BTreeMap<usize, Vec<Frame>>>,
    /// A line has begun, and its variables are yet to be handed over.
    begun: Cell<bool>,
    /// The script stands; what runs now is the client's.
    at_prompt: Cell<bool>,
    lines: Cell<u64>,
    /// Nanoseconds of work before it was last let go.
    let_go: Cell<u64>,
    eval: Table,
    load_text: Function,
    attempt: Function,
    show: Function,
    real: Table,
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<Session>>> = const { RefCell::new(None) };
}

/// The session of the script that runs, if it is debugged.
fn current() -> Option<Rc<Session>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Says something if the script goes step by step.
fn note(text: impl FnOnce() -> Vec<u8>) {
    if let Some(session) = current() {
        let stepping = session.debugger.borrow().step;
        if stepping {
            session.debugger.borrow_mut().log(text());
        }
    }
}

/// An error table is made (`luaPushErrorBuff`).
pub(super) fn note_error(text: &[u8]) {
    note(|| [b"<error> ", text].concat());
}

/// A command is called.
pub(super) fn note_call(parts: &[&[u8]]) {
    note(|| {
        let mut text = b"<redis>".to_vec();
        for part in parts.iter().take(10) {
            text.push(b' ');
            // A text in C is added with all its bytes.
            text.extend_from_slice(part);
        }
        if parts.len() > 10 {
            text.extend_from_slice(format!(" ... ({} more)", parts.len() - 11).as_bytes());
        }
        text
    });
}

/// It has answered.
pub(super) fn note_reply(reply: &[u8]) {
    let Some(session) = current().filter(|session| session.debugger.borrow().step) else { return };
    if reply.first() == Some(&b'-') {
        let end = memchr::memchr(b'\r', reply).unwrap_or(reply.len());
        note_error(&reply[..end]);
    }
    session.debugger.borrow_mut().log_cut([b"<reply> ", &human::reply(reply)[..]].concat());
}

/// `redis.breakpoint`
pub(super) fn breakpoint() -> bool {
    let session = current();
    if let Some(session) = &session {
        session.debugger.borrow_mut().called = true;
    }
    session.is_some()
}

/// `redis.debug`
pub(super) fn debug(args: &MultiValue) -> Result<()> {
    let Some(session) = current() else { return Ok(()) };
    let mut text = format!("<debug> line {}: ", session.debugger.borrow().line()).into_bytes();
    for (at, value) in args.iter().enumerate() {
        if at > 0 {
            text.extend_from_slice(b", ");
        }
        session.show(value, 0, &mut text)?;
    }
    session.debugger.borrow_mut().log(text);
    Ok(())
}

/// Has instructions counted and lines seen from now on.
pub(super) fn arm(lua: &Lua) -> Result<()> {
    let triggers = HookTriggers::new().every_line().every_nth_instruction(STEP);
    lua.set_global_hook(triggers, |lua, debug| {
        if let Some(session) = current() {
            match debug.event() {
                DebugEvent::Line => session.on_line(lua, debug)?,
                DebugEvent::Count => session.on_count(lua, debug)?,
                _ => {}
            }
        }
        Ok(VmState::Continue)
    })
}

/// While there is one, the script that runs is debugged.
pub(super) struct Running;

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(session) = CURRENT.take() {
            session.shared.debugged.set(false);
        }
    }
}

/// Prepares a compiled script to be debugged.
pub(super) fn begin(
    interpreter: &Interpreter,
    script: &Function,
    debugger: &Rc<RefCell<Debugger>>,
) -> Result<(Function, Running)> {
    let lua = &interpreter.lua;
    let (code, points) = instrument::speaking(&script.dump(false))
        .ok_or_else(|| mlua::Error::runtime("the script's compiled form is unknown"))?;
    let session = Session {
        debugger: Rc::clone(debugger),
        shared: Rc::clone(&interpreter.shared),
        points,
        frames: RefCell::default(),
        begun: Cell::new(false),
        at_prompt: Cell::new(false),
        lines: Cell::new(0),
        let_go: Cell::new(0),
        eval: interpreter.eval.clone(),
        load_text: interpreter.load_text.clone(),
        attempt: interpreter.attempt.clone(),
        show: interpreter.show.clone(),
        real: interpreter.real.clone(),
    };
    let tell = lua.create_function(|lua, (_, name, value): (Value, Value, Value)| {
        let name = name.as_string().map(|name| name.as_bytes().to_vec()).unwrap_or_default();
        let point = name.strip_prefix(MARK).and_then(|point| std::str::from_utf8(point).ok()?.parse().ok());
        match (point, current()) {
            (Some(point), Some(session)) => session.told(lua, point, value),
            _ => errors::positioned(lua, "Attempt to modify a readonly table"),
        }
    })?;
    let function = interpreter.load_debugged.call((lua.create_string(&code)?, tell))?;
    interpreter.shared.debugged.set(true);
    CURRENT.set(Some(Rc::new(session)));
    Ok((function, Running))
}

/// How many functions run.
fn depth(lua: &Lua) -> usize {
    let is_there = |level: usize| lua.inspect_stack(level, |_| ()).is_some();
    let mut beyond = 8;
    while is_there(beyond) {
        beyond *= 2;
    }
    let (mut low, mut high) = (0, beyond);
    while low < high {
        let middle = usize::midpoint(low, high);
        if is_there(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

fn thread(lua: &Lua) -> usize {
    lua.current_thread().to_pointer() as usize
}

/// The functions of the script that run, innermost first: level, line and name.
fn script_frames(lua: &Lua, from: usize) -> Vec<(usize, i64, Option<String>)> {
    let mut frames = Vec::new();
    for level in from.. {
        let frame = lua.inspect_stack(level, |debug| {
            let is_own = debug.source().short_src.is_some_and(|name| name.contains("user_script"));
            let line = debug.current_line().map_or(-1, |line| i64::try_from(line).unwrap_or(-1));
            is_own.then(|| (level, line, debug.names().name.map(|name| name.into_owned())))
        });
        match frame {
            None => break,
            Some(frame) => frames.extend(frame),
        }
    }
    frames
}

impl Session {
    /// Nanoseconds that the script has worked for since it was let go.
    fn worked(&self) -> u64 {
        self.shared.work.get() * cost::INSTRUCTION + self.lines.get() * LINE - self.let_go.get()
    }

    fn on_line(&self, lua: &Lua, debug: &Debug<'_>) -> Result<()> {
        if self.at_prompt.get() {
            return Ok(());
        }
        let source = debug.source();
        if source.source.as_deref() == Some(OWN) {
            return Ok(());
        }
        self.debugger.borrow_mut().at(debug.current_line().map_or(-1, |line| i64::try_from(line).unwrap_or(-1)));
        if !source.short_src.is_some_and(|name| name.contains("user_script")) {
            return Ok(());
        }
        self.lines.set(self.lines.get() + 1);
        let silent = self.frames.borrow().values().flatten().any(|frame| frame.silent > 0);
        if silent {
            let level = depth(lua) - 1;
            let mut frames = self.frames.borrow_mut();
            let frame = frames.get_mut(&thread(lua)).and_then(|frames| frames.get_mut(level));
            if let Some(frame) = frame.filter(|frame| frame.silent > 0) {
                frame.silent -= 1;
                drop(frames);
                return self.stop_if_due(lua, 0, false);
            }
        }
        self.begun.set(true);
        Ok(())
    }

    fn on_count(&self, lua: &Lua, debug: &Debug<'_>) -> Result<()> {
        super::count(lua, &self.shared, debug)?;
        if self.at_prompt.get() {
            let work = self.shared.work.get();
            if work.saturating_mul(cost::INSTRUCTION).saturating_sub(self.let_go.get()) / cost::INSTRUCTION > ENDLESS {
                self.debugger.borrow_mut().hung = true;
                self.shared.stopped.set(true);
                return Err(Thrown::Stop.into());
            }
            return Ok(());
        }
        let is_script = debug.source().short_src.is_some_and(|name| name.contains("user_script"));
        let patience = self.debugger.borrow().patience;
        if is_script && self.worked() >= patience {
            return self.stop_if_due(lua, 0, true);
        }
        Ok(())
    }

    /// The code has come to a point.
    fn told(&self, lua: &Lua, point: usize, value: Value) -> Result<()> {
        if self.at_prompt.get() {
            return Ok(());
        }
        // The function that tells is one of them.
        let level = depth(lua) - 2;
        let silent = self.points.get(point).map_or(0, |point| point.silent);
        let getter = match value {
            Value::Function(getter) => Some(getter),
            _ => None,
        };
        let mut all = self.frames.borrow_mut();
        let frames = all.entry(thread(lua)).or_default();
        frames.resize(level + 1, Frame::default());
        frames[level] = Frame { getter, point, silent };
        drop(all);
        if self.begun.replace(false) { self.stop_if_due(lua, 1, false) } else { Ok(()) }
    }

    /// Stops if there is a reason to. The innermost function of the script is at this level.
    fn stop_if_due(&self, lua: &Lua, level: usize, too_long: bool) -> Result<()> {
        let Some(reason) = self.debugger.borrow().stops(too_long) else { return Ok(()) };
        self.debugger.borrow_mut().stop(reason);
        self.at_prompt.set(true);
        self.let_go.set(self.shared.work.get() * cost::INSTRUCTION);
        let ended = self.prompt(lua, level, reason.starts_with("timeout"));
        self.at_prompt.set(false);
        self.let_go.set(self.shared.work.get() * cost::INSTRUCTION + self.lines.get() * LINE);
        ended
    }

    /// Does what the client says until the script is to go on (`ldbRepl`).
    fn prompt(&self, lua: &Lua, level: usize, too_long: bool) -> Result<()> {
        loop {
            let line = self.debugger.borrow_mut().read();
            let words = match line {
                None => {
                    self.shared.stopped.set(true);
                    return Err(Thrown::Stop.into());
                }
                Some(Line::Gone) if too_long => {
                    return errors::thrown_table("timeout during Lua debugging with client closing connection");
                }
                Some(Line::Gone) => return Ok(()),
                Some(Line::Broken(problem)) => return errors::thrown_table(problem),
                Some(Line::Command(words)) => words,
            };
            let asked = self.debugger.borrow_mut().command(&words);
            match asked {
                Asked::Nothing => continue,
                Asked::GoOn => return Ok(()),
                Asked::Abort => return errors::thrown_table("script aborted for user request"),
                Asked::Print(Some(name)) => self.print(lua, level, name)?,
                Asked::Print(None) => self.print_all(lua, level)?,
                Asked::Eval(code) => self.evaluate(lua, &code)?,
                Asked::Redis(words) => self.call(lua, words)?,
                Asked::Trace => {
                    for (at, line, name) in script_frames(lua, level) {
                        let how = if at == level { "In" } else { "From" };
                        let mut debugger = self.debugger.borrow_mut();
                        debugger.log(format!("{how} {}:", name.as_deref().unwrap_or("top level")));
                        debugger.log_line(line);
                    }
                }
            }
            self.debugger.borrow_mut().send();
        }
    }

    /// The variables of the function at this level.
    fn variables(&self, lua: &Lua, level: usize) -> Result<Vec<(&[u8], Value)>> {
        let at = depth(lua) - 1 - level;
        let frame = self.frames.borrow().get(&thread(lua)).and_then(|frames| frames.get(at)).cloned();
        let Some(Frame { getter: Some(getter), point, .. }) = frame else { return Ok(Vec::new()) };
        let values: MultiValue = getter.call(())?;
        let names = self.points.get(point).into_iter().flat_map(|point| &point.names);
        Ok(names.map(Vec::as_slice).zip(values).collect())
    }

    /// Shows a variable of the innermost function that has one of this name.
    fn print(&self, lua: &Lua, level: usize, name: &[u8]) -> Result<()> {
        let wanted = errors::until_nul(name);
        for (level, _, _) in script_frames(lua, level) {
            for (name, value) in self.variables(lua, level)? {
                if name == wanted {
                    return self.log_value(b"<value> ", &value);
                }
            }
        }
        if wanted == b"KEYS" || wanted == b"ARGV" {
            let value: Value = self.eval.get(LuaString::clone(&lua.create_string(wanted)?))?;
            return self.log_value(b"<value> ", &value);
        }
        self.debugger.borrow_mut().log("No such variable.");
        Ok(())
    }

    fn print_all(&self, lua: &Lua, level: usize) -> Result<()> {
        let variables = self.variables(lua, level)?;
        if variables.is_empty() {
            self.debugger.borrow_mut().log("No local variables in the current context.");
        }
        for (name, value) in variables {
            self.log_value(&[b"<value> ", name, b" = "].concat(), &value)?;
        }
        Ok(())
    }

    fn log_value(&self, prefix: &[u8], value: &Value) -> Result<()> {
        let mut text = prefix.to_vec();
        self.show(value, 0, &mut text)?;
        self.debugger.borrow_mut().log_cut(text);
        Ok(())
    }

    /// Executes code of the client's (`ldbEval`).
    fn evaluate(&self, lua: &Lua, code: &[u8]) -> Result<()> {
        let load = |code: &[u8]| -> Result<(Option<Function>, Option<LuaString>)> {
            self.load_text.call((lua.create_string(code)?, "@ldb_eval", &self.eval))
        };
        let mut loaded = load(&[b"return ", code].concat())?;
        if loaded.0.is_none() {
            loaded = load(code)?;
        }
        let (ok, value) = match loaded {
            // In a thread of its own instructions are counted, whatever runs here.
            (Some(function), _) => {
                let thread = lua.create_thread(self.attempt.clone())?;
                thread.set_hook(HookTriggers::new().every_nth_instruction(STEP), |lua, debug| {
                    if let Some(session) = current() {
                        session.on_count(lua, debug)?;
                    }
                    Ok(VmState::Continue)
                })?;
                thread.resume::<(bool, Value)>(function)?
            }
            (None, problem) => (false, problem.map_or(Value::Nil, Value::String)),
        };
        if self.shared.stopped.get() {
            return Err(Thrown::Stop.into());
        }
        if ok {
            return self.log_value(b"<retval> ", &value);
        }
        match numbers::text_of(&errors::caught(lua, value)?) {
            Some(text) => self.debugger.borrow_mut().log([b"<error> ", errors::until_nul(&text)].concat()),
            None => {
                // A real server takes the length of a text that isn't there.
                self.debugger.borrow_mut().crashed = true;
                self.shared.stopped.set(true);
                return Err(Thrown::Stop.into());
            }
        }
        Ok(())
    }

    /// Calls a command of the server (`ldbRedis`).
    fn call(&self, lua: &Lua, words: &[Vec<u8>]) -> Result<()> {
        let redis: Table = self.eval.get("redis")?;
        let call: Function = redis.get("call")?;
        let mut args = MultiValue::new();
        args.push_back(Value::Function(call));
        for word in words {
            args.push_back(Value::String(lua.create_string(word)?));
        }
        self.debugger.borrow_mut().step = true;
        let called: Result<MultiValue> = self.attempt.call(args);
        self.debugger.borrow_mut().step = false;
        called.map(drop)
    }

    /// A value as people read it (`ldbCatStackValue`).
    fn show(&self, value: &Value, level: usize, out: &mut Vec<u8>) -> Result<()> {
        if level == DEEPEST {
            out.extend_from_slice(b"<max recursion level reached! Nested table?>");
            return Ok(());
        }
        match value {
            Value::String(text) => out.extend_from_slice(quote(&text.as_bytes()).as_bytes()),
            Value::Boolean(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Value::Integer(_) | Value::Number(_) => {
                let number = numbers::of(value).unwrap_or_default();
                out.extend_from_slice(numbers::general(number, 6).as_bytes());
            }
            Value::Nil => out.extend_from_slice(b"nil"),
            Value::Table(table) => return self.show_table(table, level + 1, out),
            Value::LightUserData(_) => out.extend_from_slice(b"\"light-userdata@(nil)\""),
            other => {
                let text: LuaString = self.show.call(other)?;
                let text = text.to_string_lossy();
                let (kind, address) = text.split_once(": ").unwrap_or((other.type_name(), "0x0"));
                out.extend_from_slice(format!("\"{kind}@{address}\"").as_bytes());
            }
        }
        Ok(())
    }

    fn show_table(&self, table: &Table, level: usize, out: &mut Vec<u8>) -> Result<()> {
        let real: Option<Table> = self.real.raw_get(table)?;
        let table = real.as_ref().unwrap_or(table);
        let pairs: Vec<(Value, Value)> = table.pairs().collect::<Result<_>>()?;
        let has_address =
            |key: &Value| matches!(key, Value::Table(_) | Value::Function(_) | Value::Thread(_) | Value::UserData(_));
        if pairs.len() > 1 && pairs.iter().any(|(key, _)| has_address(key)) {
            out.extend_from_slice(b"{<the order of a table's keys that are tables or functions is not modelled>}");
            return Ok(());
        }
        #[expect(clippy::cast_precision_loss, reason = "tables have fewer elements than a double has digits")]
        let is_array = pairs
            .iter()
            .enumerate()
            .all(|(at, (key, _))| !key.is_string() && numbers::of(key) == Some(at as f64 + 1.0));
        out.push(b'{');
        for (at, (key, value)) in pairs.iter().enumerate() {
            if at > 0 {
                out.extend_from_slice(b"; ");
            }
            if !is_array {
                out.push(b'[');
                self.show(key, level, out)?;
                out.extend_from_slice(b"]=");
            }
            self.show(value, level, out)?;
        }
        out.push(b'}');
        Ok(())
    }
}

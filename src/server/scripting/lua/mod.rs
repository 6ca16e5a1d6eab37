//! Lua 5.1 as scripts and functions see it. An interpreter belongs to a thread and is a cache: it holds compiled code,
//! and nothing that a script could leave behind. What a script may find of an earlier one (its random numbers) is the
//! server's and is handed in.

#![allow(clippy::wildcard_enum_match_arm, reason = "Lua has more types than any one place looks at")]

mod api;
mod bit;
mod bytecode;
mod cjson;
mod cmsgpack;
mod convert;
mod debug;
mod errors;
mod instrument;
mod live;
mod numbers;
mod pure;
mod structs;
mod tails;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use bytes::BytesMut;
use mlua::{Function, HookTriggers, Lua, LuaOptions, LuaString, MultiValue, Result, StdLib, Table, Value, VmState};
use rustc_hash::FxHashMap;

pub(in crate::server) use errors::Info;
use errors::Thrown;

use super::{
    Answer, Code, Ending, Function as Listed, Host, Job, JsonSettings, Loaded, Rand48, Run, Said, SoFar, sha1,
};
use crate::resp::lossless;

/// How often the instructions are counted.
const STEP: u32 = 1_000;
/// Memory that a script has allocated that asks for a collection while it runs.
const GARBAGE: usize = 64 << 20;
/// What scripts may leave behind before the next collection: little enough to stay in the processor's caches.
const LEFT: usize = 4 << 20;
/// After so many instructions it is noted where the script is.
const LONG: u64 = 1_000_000;
/// More memory than this a script doesn't get.
const MEMORY_MAX: usize = 2 << 30;
/// Compiled scripts that are kept.
const COMPILED_MAX: usize = 4_096;

/// What functions in Rust and the running script share.
#[derive(Debug, Default)]
struct Shared {
    /// A script runs.
    running: Cell<bool>,
    /// It is debugged.
    debugged: Cell<bool>,
    /// The protocol of its calls.
    resp: Cell<u8>,
    /// Whom its writes go to.
    targets: Cell<u8>,
    random: Cell<Rand48>,
    /// What scripts have set `cjson` to.
    json: Rc<Cell<JsonSettings>>,
    /// Instructions so far.
    work: Cell<u64>,
    /// How many it may have.
    budget: Cell<u64>,
    /// It is stopped: it goes on another time.
    stopped: Cell<bool>,
    /// The line at which a long script was last seen.
    line: Cell<u64>,
    /// Memory in use after the last collection.
    settled: Cell<usize>,
    /// What the handler has made of the error that ended the script.
    failure: RefCell<Option<Info>>,
    /// Functions of the library that is being loaded.
    loading: RefCell<Option<Vec<Registered>>>,
    /// What the script has logged, if that is kept.
    said: RefCell<Option<Said>>,
}

/// A function as a library has registered it.
#[derive(Clone, Debug)]
struct Registered {
    name: Vec<u8>,
    description: Option<Vec<u8>>,
    flags: u8,
    callback: Function,
}

/// Whose globals compiled code gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum World {
    Eval,
    Functions,
}

/// One interpreter.
struct Interpreter {
    lua: Lua,
    shared: Rc<Shared>,
    eval: Table,
    functions: Table,
    /// First arguments that tell `redis.pcall` and `redis.acl_check_cmd` from `redis.call`.
    gently: Table,
    checked: Table,
    load_text: Function,
    load_code: Function,
    /// What the debugger needs of the sandbox.
    load_debugged: Function,
    attempt: Function,
    show: Function,
    real: Table,
    run: Function,
    call: Function,
    load: Function,
    clean: Function,
    compiled: FxHashMap<(World, [u8; 20]), Function>,
    /// Functions of libraries that keep nothing in variables.
    loaded: FxHashMap<[u8; 20], Rc<[Registered]>>,
    /// Values keep their addresses from one function to the next.
    lives_on: bool,
    world: World,
    /// Memory in use after the last collection between scripts.
    kept: usize,
}

impl fmt::Debug for Interpreter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interpreter")
    }
}

thread_local! {
    static INTERPRETER: RefCell<Option<Interpreter>> = const { RefCell::new(None) };
}

/// Lends this thread's interpreter.
fn with<R>(work: impl FnOnce(&mut Interpreter) -> R) -> R {
    let kept = INTERPRETER.with(RefCell::take);
    let mut interpreter = kept.unwrap_or_else(|| Interpreter::new().expect("the sandbox is built from our own code"));
    let result = work(&mut interpreter);
    INTERPRETER.with(|slot| slot.replace(Some(interpreter)));
    result
}

/// Compiles a script (without running it). The error is Lua's message.
pub(in crate::server) fn compile(body: &[u8]) -> std::result::Result<(), String> {
    with(|interpreter| interpreter.compile(World::Eval, sha1(body), Code::new(body).text).map(drop))
}

/// Runs a script to its end, or until it is stopped.
pub(in crate::server) fn run(job: &Job<'_>, host: &mut dyn Host) -> Run {
    match job.state {
        None => with(|interpreter| interpreter.run_script(job, host)),
        Some(state) => live::run(job, state, host),
    }
}

#[cfg(test)]
pub(in crate::server) fn forget() {
    live::forget();
}

/// Loads a library to see which functions it registers. The instructions that took come with it.
pub(in crate::server) fn load(code: &[u8], budget: u64) -> (std::result::Result<Loaded, String>, u64) {
    with(|interpreter| {
        let functions = interpreter.load_library(sha1(code), code, budget);
        let listed = |function: Registered| Listed {
            name: function.name.into(),
            description: function.description.map(Into::into),
            flags: function.flags,
        };
        let loaded = functions.map(|functions| Loaded {
            functions: functions.into_iter().map(listed).collect(),
            keeps_state: interpreter.keeps_state(sha1(code), code),
        });
        (loaded, interpreter.shared.work.get())
    })
}

impl Interpreter {
    fn new() -> Result<Interpreter> {
        let lua = Lua::new_with(StdLib::TABLE | StdLib::STRING | StdLib::MATH, LuaOptions::new())?;
        lua.gc_stop();
        let shared = Rc::new(Shared::default());
        let libraries = lua.create_table()?;
        libraries.set("cjson", cjson::library(&lua, &shared.json)?)?;
        libraries.set("cmsgpack", cmsgpack::library(&lua)?)?;
        libraries.set("struct", structs::library(&lua)?)?;
        libraries.set("bit", bit::library(&lua)?)?;
        let native = api::native(&lua, &shared)?;
        let sandbox: Table = lua
            .load(include_str!("sandbox.lua"))
            .set_name("=[redis]")
            .set_mode(mlua::chunk::ChunkMode::Text)
            .call((native, libraries))?;
        arm(&lua, &shared)?;
        let eval: Table = sandbox.get("eval")?;
        lua.set_globals(eval.clone())?;
        Ok(Interpreter {
            functions: sandbox.get("functions")?,
            gently: sandbox.get("gently")?,
            checked: sandbox.get("checked")?,
            load_text: sandbox.get("compile")?,
            load_code: sandbox.get("restore")?,
            load_debugged: sandbox.get("debugged")?,
            attempt: sandbox.get("attempt")?,
            show: sandbox.get("show")?,
            real: sandbox.get("real")?,
            run: sandbox.get("run")?,
            call: sandbox.get("call")?,
            load: sandbox.get("load")?,
            clean: sandbox.get("clean")?,
            compiled: FxHashMap::default(),
            loaded: FxHashMap::default(),
            lives_on: false,
            world: World::Eval,
            kept: lua.used_memory(),
            eval,
            shared,
            lua,
        })
    }

    fn compile(&mut self, world: World, sha: [u8; 20], source: &[u8]) -> std::result::Result<Function, String> {
        if let Some(function) = self.compiled.get(&(world, sha)) {
            return Ok(function.clone());
        }
        let (environment, name) = match world {
            World::Eval => (&self.eval, "@user_script"),
            World::Functions => (&self.functions, "@user_function"),
        };
        // What another script has left of its budget must not be missed here.
        self.unbound();
        let text = self.lua.create_string(source).map_err(|error| error.to_string())?;
        let made: Result<(Option<Function>, Option<LuaString>)> = self.load_text.call((text, name, environment));
        let function = match made.map_err(|error| error.to_string())? {
            (Some(function), _) => {
                self.keep_callers(function, source, environment).map_err(|error| error.to_string())?
            }
            (None, problem) => return Err(problem.map(|text| lossless(&text.as_bytes())).unwrap_or_default()),
        };
        if self.compiled.len() >= COMPILED_MAX {
            self.compiled.clear();
        }
        self.compiled.insert((world, sha), function.clone());
        Ok(function)
    }

    /// The same function, with callers that are there when something goes wrong in a function of ours.
    fn keep_callers(&self, function: Function, source: &[u8], environment: &Table) -> Result<Function> {
        match tails::may_matter(source).then(|| tails::kept(&function.dump(false))).flatten() {
            Some(code) => self.load_code.call((self.lua.create_string(&code)?, environment)),
            None => Ok(function),
        }
    }

    /// Chunks that a script loads get the globals of its world.
    fn enter(&mut self, world: World) -> Result<()> {
        if self.world != world {
            self.world = world;
            self.lua.set_globals(if world == World::Eval { self.eval.clone() } else { self.functions.clone() })?;
        }
        Ok(())
    }

    /// What runs from now on is our own.
    fn unbound(&self) {
        self.shared.budget.set(u64::MAX);
        self.shared.stopped.set(false);
    }

    fn begin(&self, random: Rand48, json: JsonSettings, budget: u64) {
        let shared = &self.shared;
        // What another script has left of its last step must not shorten the first one of this.
        arm(&self.lua, shared).expect("the hook was set before");
        shared.resp.set(2);
        shared.targets.set(3);
        shared.random.set(random);
        shared.json.set(json);
        shared.work.set(0);
        shared.line.set(0);
        shared.budget.set(budget);
        shared.stopped.set(false);
        shared.settled.set(self.lua.used_memory());
        shared.failure.replace(None);
    }

    fn run_script(&mut self, job: &Job<'_>, host: &mut dyn Host) -> Run {
        match (self.prepare(job), job.debugger) {
            (Ok(function), None) => self.run_function(job, &function, host),
            (Ok(function), Some(debugger)) => match debug::begin(self, &function, debugger) {
                Ok((function, _running)) => self.run_function(job, &function, host),
                Err(error) => failed(job, &error.to_string()),
            },
            (Err(problem), _) => failed(job, &problem),
        }
    }

    fn run_function(&mut self, job: &Job<'_>, function: &Function, host: &mut dyn Host) -> Run {
        self.begin(job.random, job.json, job.budget);
        self.shared.said.replace(job.logs.then(Vec::new));
        self.shared.running.set(true);
        let ended = self.execute(job, function, host);
        self.shared.running.set(false);
        let (mut reply, mut errors) = (BytesMut::new(), Vec::new());
        let written = ended.and_then(|ended| match ended {
            Ok(value) => {
                let (client, script) = (job.client_resp, self.shared.resp.get());
                let mut writer = convert::Writer { out: &mut reply, client, script, errors: Vec::new() };
                writer.write(value)?;
                errors = writer.errors;
                Ok(Ending::Returned)
            }
            Err(info) => Ok(Ending::Failed(info.text, info.at, info.counted)),
        });
        let ending = if self.shared.stopped.get() {
            Ending::Stopped
        } else {
            written.unwrap_or_else(|error| Ending::Failed(format!("ERR {error}"), None, false))
        };
        self.tidy(job.code.leaves_traces);
        let shared = &self.shared;
        let (random, json) = (shared.random.get(), shared.json.get());
        let said = shared.said.take().unwrap_or_default();
        Run { ending, reply, errors, random, json, work: shared.work.get(), line: shared.line.get(), state: None, said }
    }

    /// What is to be called: the compiled chunk, or the library's function.
    fn prepare(&mut self, job: &Job<'_>) -> std::result::Result<Function, String> {
        let Some(name) = job.function else {
            self.enter(World::Eval).map_err(|error| error.to_string())?;
            return self.compile(World::Eval, job.sha, job.code.text);
        };
        self.enter(World::Functions).map_err(|error| error.to_string())?;
        let functions = match self.loaded.get(&job.sha) {
            Some(functions) => Rc::clone(functions),
            None => {
                let functions: Rc<[Registered]> = self.load_library(job.sha, job.code.text, u64::MAX)?.into();
                if self.loaded.len() >= COMPILED_MAX {
                    self.loaded.clear();
                }
                self.loaded.insert(job.sha, Rc::clone(&functions));
                functions
            }
        };
        find(&functions, name)
    }

    /// Whether functions of a library that was loaded may leave something behind in its variables.
    fn keeps_state(&mut self, sha: [u8; 20], code: &[u8]) -> bool {
        self.compile(World::Functions, sha, code).map_or(true, |chunk| !pure::is_pure(&chunk.dump(true)))
    }

    /// Runs a library's own code: the functions that it registers, with variables as they are at first.
    fn load_library(
        &mut self,
        sha: [u8; 20],
        code: &[u8],
        budget: u64,
    ) -> std::result::Result<Vec<Registered>, String> {
        self.enter(World::Functions).map_err(|error| error.to_string())?;
        let chunk = self
            .compile(World::Functions, sha, code)
            .map_err(|problem| format!("Error compiling function: {problem}"))?;
        self.begin(Rand48::default(), JsonSettings::default(), budget);
        self.shared.loading.replace(Some(Vec::new()));
        let limited = self.lua.set_memory_limit(MEMORY_MAX);
        let loaded: Result<(bool, Value)> = limited.and_then(|_| self.load.call(chunk));
        let loaded = self.lua.set_memory_limit(0).and(loaded);
        let functions = self.shared.loading.take().unwrap_or_default();
        if self.shared.stopped.replace(false) {
            return Err("Error registering functions: ERR FUNCTION LOAD timeout".to_owned());
        }
        match loaded {
            Ok((true, _)) => Ok(functions),
            Ok((false, problem)) => Err(format!("Error registering functions: {}", Info::of(&problem).text)),
            Err(error) => Err(format!("Error registering functions: ERR {error}")),
        }
    }

    fn execute(
        &self,
        job: &Job<'_>,
        function: &Function,
        host: &mut dyn Host,
    ) -> Result<std::result::Result<Value, Info>> {
        let lua = &self.lua;
        let keys = strings(lua, job.keys)?;
        let args = strings(lua, job.args)?;
        let host = RefCell::new(host);
        let (ok, value): (bool, Value) = lua.scope(|scope| {
            let server = scope.create_function(|lua, mut args: MultiValue| {
                let first = args.front().and_then(Value::as_table).map_or(std::ptr::null(), Table::to_pointer);
                lua.set_memory_limit(0)?;
                let answer = if first.is_null() {
                    self.command(lua, &args, &host, true)
                } else if first == self.gently.to_pointer() {
                    args.pop_front();
                    self.command(lua, &args, &host, false)
                } else if first == self.checked.to_pointer() {
                    args.pop_front();
                    check_command(&args, &host).map(Value::Boolean)
                } else {
                    self.command(lua, &args, &host, true)
                };
                lua.set_memory_limit(MEMORY_MAX)?;
                answer
            })?;
            let run = if job.function.is_some() { &self.call } else { &self.run };
            // The limit makes everything else that is done with the interpreter dear.
            lua.set_memory_limit(MEMORY_MAX)?;
            let ended = run.call((function, server, keys, args, self.lives_on));
            lua.set_memory_limit(0)?;
            ended
        })?;
        if ok {
            return Ok(Ok(value));
        }
        let info = self.shared.failure.take();
        Ok(Err(info.unwrap_or_else(|| Info::of(&value))))
    }

    /// `redis.call` and `redis.pcall`.
    fn command(&self, lua: &Lua, args: &MultiValue, host: &RefCell<&mut dyn Host>, raise: bool) -> Result<Value> {
        let fail = |text: &[u8], counted: bool| {
            if raise {
                Err(Thrown::Table(errors::of_text(text), counted).into())
            } else {
                Ok(Value::Table(errors::table(lua, &errors::of_text(text), counted)?))
            }
        };
        let debugged = self.shared.debugged.get();
        let Some(parts) = words(args) else {
            let text: &[u8] = if args.is_empty() {
                b"Please specify at least one argument for this redis lib call"
            } else {
                b"Lua redis lib command arguments must be strings or integers"
            };
            debug::note_error(text);
            return fail(text, false);
        };
        let parts: smallvec::SmallVec<[&[u8]; 8]> = parts.iter().map(AsRef::as_ref).collect();
        let shared = &self.shared;
        if shared.stopped.get() {
            return Err(Thrown::Stop.into());
        }
        if debugged {
            debug::note_call(&parts);
        }
        let (resp, targets, work) = (shared.resp.get(), shared.targets.get(), shared.work.get());
        let answer = host.borrow_mut().call(&parts, &SoFar { resp, targets, work, budget: &shared.budget });
        if let Answer::Reply(reply) = &answer
            && debugged
        {
            debug::note_reply(reply);
        }
        match answer {
            Answer::Refused(text) => {
                debug::note_error(text.as_bytes());
                fail(text.as_bytes(), true)
            }
            Answer::Stop => {
                shared.stopped.set(true);
                Err(Thrown::Stop.into())
            }
            Answer::Reply(reply) if raise && reply.first() == Some(&b'-') => {
                let end = memchr::memchr(b'\r', &reply).unwrap_or(reply.len());
                Err(Thrown::Table(errors::of_reply(&reply[1..end]), true).into())
            }
            Answer::Reply(reply) => convert::to_lua(lua, &reply),
        }
    }

    fn tidy(&mut self, leaves_traces: bool) {
        self.unbound();
        if leaves_traces {
            self.clean.call::<()>(()).expect("our own function");
        }
        if self.lua.used_memory() > self.kept + LEFT.max(self.kept / 2) {
            collect(&self.lua, &self.shared);
            self.kept = self.lua.used_memory();
        }
    }
}

/// A script that can't begin.
fn failed(job: &Job<'_>, problem: &str) -> Run {
    let ending = Ending::Failed(format!("ERR {problem}"), None, false);
    let (reply, errors, said) = (BytesMut::new(), Vec::new(), Vec::new());
    Run { ending, reply, errors, random: job.random, json: job.json, work: 0, line: 0, state: None, said }
}

/// The function of that name.
fn find(functions: &[Registered], name: &[u8]) -> std::result::Result<Function, String> {
    let found = functions.iter().find(|function| function.name == name);
    Ok(found.ok_or("the library doesn't register this function any more")?.callback.clone())
}

/// `redis.acl_check_cmd`.
fn check_command(args: &MultiValue, host: &RefCell<&mut dyn Host>) -> Result<bool> {
    let Some(parts) = words(args) else {
        return errors::thrown_table(if args.is_empty() {
            "Please specify at least one argument for this redis lib call"
        } else {
            "Lua redis lib command arguments must be strings or integers"
        });
    };
    let parts: Vec<&[u8]> = parts.iter().map(AsRef::as_ref).collect();
    match host.borrow_mut().may_run(&parts) {
        Some(allowed) => Ok(allowed),
        None => errors::thrown_table("Invalid command passed to redis.acl_check_cmd()"),
    }
}

/// A word of a command.
enum Word {
    Text(mlua::BorrowedBytes),
    Number(String),
}

impl AsRef<[u8]> for Word {
    fn as_ref(&self) -> &[u8] {
        match self {
            Word::Text(text) => text,
            Word::Number(text) => text.as_bytes(),
        }
    }
}

/// Arguments as words; none, or another type among them: `None`.
fn words(args: &MultiValue) -> Option<smallvec::SmallVec<[Word; 8]>> {
    if args.is_empty() {
        return None;
    }
    args.iter()
        .map(|value| match value {
            Value::String(text) => Some(Word::Text(text.as_bytes())),
            Value::Integer(number) => Some(Word::Number(whole(*number))),
            Value::Number(number) => Some(Word::Number(numbers::general(*number, 17))),
            _ => None,
        })
        .collect()
}

/// A whole number with 17 digits at most.
#[expect(clippy::cast_precision_loss, reason = "it was a double")]
fn whole(number: i64) -> String {
    if number.unsigned_abs() < 100_000_000_000_000_000 {
        number.to_string()
    } else {
        numbers::general(number as f64, 17)
    }
}

fn strings(lua: &Lua, texts: &[&[u8]]) -> Result<Table> {
    let table = lua.create_table_with_capacity(texts.len(), 0)?;
    for text in texts {
        let text: LuaString = lua.create_string(text)?;
        table.raw_push(text)?;
    }
    Ok(table)
}

fn collect(lua: &Lua, shared: &Shared) {
    // Collecting starts Lua's own cycle again.
    let _ = lua.gc_collect();
    lua.gc_stop();
    shared.settled.set(lua.used_memory());
}

/// Has instructions counted from now on, in steps.
fn arm(lua: &Lua, shared: &Rc<Shared>) -> Result<()> {
    if shared.debugged.get() {
        return debug::arm(lua);
    }
    let counted = Rc::clone(shared);
    lua.set_global_hook(HookTriggers::new().every_nth_instruction(STEP), move |lua, debug| {
        count(lua, &counted, debug)?;
        Ok(VmState::Continue)
    })
}

/// So many instructions more.
fn count(lua: &Lua, shared: &Shared, debug: &mlua::debug::Debug<'_>) -> Result<()> {
    let work = shared.work.get() + u64::from(STEP);
    shared.work.set(work);
    if work >= LONG {
        shared.line.set(debug.current_line().unwrap_or(0) as u64);
    }
    if work >= shared.budget.get() || shared.stopped.get() {
        shared.stopped.set(true);
        return Err(Thrown::Stop.into());
    }
    if lua.used_memory() > shared.settled.get() + GARBAGE {
        collect(lua, shared);
    }
    Ok(())
}

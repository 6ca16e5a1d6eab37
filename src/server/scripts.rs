//! Scripts as the rest of the server sees them: time, effects, snapshots.

use super::rig::Rig;
use crate::node::Output;

fn rig(conf: &str) -> Rig {
    Rig::with(conf, 1_700_000_000_000, 1_000)
}

fn eval(rig: &mut Rig, conn: &str, script: &str, rest: &[&str]) -> String {
    let mut args = vec!["EVAL".to_owned(), script.to_owned()];
    args.extend(rest.iter().map(|&arg| arg.to_owned()));
    rig.send(conn, &args);
    String::from_utf8_lossy(&rig.take_reply(conn)).into_owned()
}

fn busy_ns(rig: &mut Rig) -> u64 {
    let busy = |output: &Output| if let Output::Busy(span) = output { span.ns() } else { 0 };
    rig.others.drain(..).map(|output| busy(&output)).sum()
}

const BUSY: &str = "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n";

/// What takes long keeps the process busy until the threshold; then others are told, until it is killed.
#[test]
fn endless_scripts_can_be_killed() {
    let mut rig = rig("busy-reply-threshold 100");
    rig.ask("b", "SET k v");
    rig.others.clear();
    assert_eq!(eval(&mut rig, "a", "local i = 0\nwhile true do\n i = i + 1 end", &["0"]), "");
    let busy = busy_ns(&mut rig);
    assert!((100_000_000..101_000_000).contains(&busy), "{busy}");
    rig.pass(150);
    assert_eq!(rig.ask("b", "GET k"), BUSY);
    assert_eq!(rig.ask("b", "FUNCTION STATS"), BUSY);
    assert_eq!(rig.ask("c", "PING"), BUSY);
    let mut fork = rig.clone();
    assert_eq!(rig.ask("b", "SCRIPT KILL"), "+OK\r\n");
    rig.pass(1);
    let reply = String::from_utf8_lossy(&rig.take_reply("a")).into_owned();
    assert!(reply.starts_with("-ERR Script killed by user with SCRIPT KILL... script: "), "{reply}");
    assert!(reply.contains(", on @user_script:"), "{reply}");
    assert_eq!(rig.ask("b", "GET k"), "$1\r\nv\r\n");
    assert_eq!(rig.ask("b", "SCRIPT KILL"), "-NOTBUSY No scripts in execution right now.\r\n");
    assert_eq!(rig.ask("a", "PING"), "+PONG\r\n");
    // Whoever doesn't kill it waits.
    fork.pass(1_000);
    assert_eq!(fork.ask("b", "PING"), BUSY);
    assert_eq!(fork.ask("b", "SCRIPT KILL"), "+OK\r\n");
}

/// A long script that ends: its reply comes when its time has passed, and so do its effects.
#[test]
fn long_scripts_end() {
    let mut rig = Rig::new(1_700_000_000_000);
    rig.server.meter = super::cost::Meter::new(1_000);
    rig.ask("b", "CONFIG SET busy-reply-threshold 20");
    rig.take_stream();
    let script = "redis.call('set','k','1') local x = 0 for i = 1, 2000000 do x = x + i end return x";
    assert_eq!(eval(&mut rig, "a", script, &["0"]), "");
    assert!(rig.take_stream().is_empty());
    rig.pass(30);
    assert_eq!(rig.ask("b", "GET k"), BUSY);
    assert!(rig.ask("b", "SCRIPT KILL").starts_with("-UNKILLABLE"));
    // Four million instructions at 20 ns.
    rig.pass(80);
    assert_eq!(String::from_utf8_lossy(&rig.take_reply("a")), ":2000001000000\r\n");
    assert_eq!(rig.ask("b", "GET k"), "$1\r\n1\r\n");
    let stream = rig.take_stream();
    assert!(stream.ends_with(b"*3\r\n$3\r\nset\r\n$1\r\nk\r\n$1\r\n1\r\n"), "{}", crate::resp::quote(&stream));
}

/// Who has the descriptor of a caller that left gets nothing of its script.
#[test]
fn callers_may_leave() {
    let mut rig = rig("busy-reply-threshold 20");
    eval(&mut rig, "a", "while true do end", &["0"]);
    let fd = rig.fds["a"];
    rig.turn(crate::node::Input::Closed { fd, why: crate::node::CloseWhy::Eof });
    rig.out.fds.close(fd);
    rig.fds.remove("a");
    rig.pass(30);
    assert_eq!(rig.ask("n", "PING"), BUSY);
    assert_eq!(rig.fds["n"], fd);
    assert_eq!(rig.ask("b", "SCRIPT KILL"), "+OK\r\n");
    rig.pass(1);
    assert_eq!(rig.ask("n", "PING"), "+PONG\r\n");
}

/// What a script would have written after it was killed is not there.
#[test]
fn late_writes_come_in_time() {
    let mut rig = rig("busy-reply-threshold 20");
    let script = "local x = 0 for i = 1, 5000000 do x = x + i end redis.call('set','k','late') return 1";
    eval(&mut rig, "a", script, &["0"]);
    let mut other = rig.clone();
    rig.pass(30);
    assert_eq!(rig.ask("b", "SCRIPT KILL"), "+OK\r\n");
    rig.pass(1);
    assert_eq!(rig.ask("b", "GET k"), "$-1\r\n");
    other.pass(300);
    assert_eq!(String::from_utf8_lossy(&other.take_reply("a")), ":1\r\n");
    assert_eq!(other.ask("b", "GET k"), "$4\r\nlate\r\n");
}

/// The rest of a transaction comes when the script in it has ended.
#[test]
fn transactions_go_on_after_a_killed_script() {
    let mut rig = rig("busy-reply-threshold 20");
    rig.ask("a", "MULTI");
    rig.ask("a", "SET k 1");
    eval(&mut rig, "a", "while true do end", &["0"]);
    rig.ask("a", "INCR k");
    assert_eq!(rig.ask("a", "EXEC"), "");
    rig.pass(30);
    rig.ask("b", "SCRIPT KILL");
    rig.pass(1);
    let reply = String::from_utf8_lossy(&rig.take_reply("a")).into_owned();
    assert!(reply.starts_with("*3\r\n+OK\r\n-ERR Script killed by user"), "{reply}");
    assert!(reply.ends_with(":2\r\n"), "{reply}");
    assert_eq!(rig.ask("a", "GET k"), "$1\r\n2\r\n");
}

/// Several effects are a transaction, in the databases that they were in; set_repl keeps them back.
#[test]
fn effects_are_propagated() {
    let mut rig = Rig::new(1_700_000_000_000);
    let script = "redis.call('set','a','1') redis.call('select',3) redis.call('incr','n') redis.pcall('incr','a','b') \
                  redis.set_repl(redis.REPL_NONE) redis.call('set','hidden','1') redis.set_repl(redis.REPL_AOF) \
                  redis.call('set','hidden','2') redis.set_repl(redis.REPL_REPLICA) redis.call('set','shown','1')";
    eval(&mut rig, "a", script, &["0"]);
    let stream = String::from_utf8_lossy(&rig.take_stream()).into_owned();
    let words: Vec<&str> = stream.split("\r\n").filter(|word| !word.starts_with(['*', '$'])).collect();
    let wanted = "SELECT 0 MULTI set a 1 SELECT 3 incr n set shown 1 EXEC ";
    assert_eq!(words.join(" "), wanted);
    eval(&mut rig, "a", "redis.call('get','a') return redis.call('del','a')", &["0"]);
    let stream = String::from_utf8_lossy(&rig.take_stream()).into_owned();
    assert!(!stream.contains("MULTI") && stream.contains("del"), "{stream}");
    eval(&mut rig, "a", "return redis.call('get','a')", &["0"]);
    assert!(rig.take_stream().is_empty());
}

/// Nothing that a script leaves in its interpreter is seen by another, here or in a clone.
#[test]
fn scripts_leave_no_state() {
    let mut rig = rig("");
    let twice = |rig: &mut Rig, script: &str| (eval(rig, "a", script, &["0"]), eval(rig, "a", script, &["0"]));
    let (first, second) = twice(&mut rig, "return tostring({}) .. tostring(print == nil and 1)");
    assert_eq!(first, second);
    let leak = "table.insert(_G, 7) local ok = pcall(rawset, _G, 'leak', 1) return {#_G, tostring(ok)}";
    assert_eq!(twice(&mut rig, leak).0, eval(&mut rig, "a", leak, &["0"]));
    let fork = rig.clone();
    let draw = "return tostring(math.random())";
    let drawn = twice(&mut rig, draw);
    assert_ne!(drawn.0, drawn.1);
    assert_eq!(twice(&mut fork.clone(), draw), drawn);
    eval(&mut rig, "a", "cjson.encode_number_precision(3)", &["0"]);
    assert_eq!(eval(&mut rig, "a", "return cjson.encode(0.123456)", &["0"]), "$5\r\n0.123\r\n");
    assert_eq!(eval(&mut fork.clone(), "a", "return cjson.encode(0.123456)", &["0"]), "$8\r\n0.123456\r\n");
}

/// The order of keys is Lua's own; where it would be that of addresses there is an error.
#[test]
fn order_never_depends_on_addresses() {
    let mut rig = rig("");
    let reply = eval(&mut rig, "a", "local t = {} t[{}] = 1 t[{}] = 2 for k in pairs(t) do end return 1", &["0"]);
    assert!(reply.contains("the order of a table's keys that are tables or functions is not modelled"), "{reply}");
    assert_eq!(eval(&mut rig, "a", "local t = {} t[{}] = 1 for k, v in pairs(t) do return v end", &["0"]), ":1\r\n");
}

/// Keys don't expire in the midst of a script, but TIME goes on.
#[test]
fn time_stands_still_for_keys() {
    let mut rig = rig("");
    rig.ask("a", "SET k v PX 1");
    let script = "local t = redis.call('time') for i = 1, 1000000 do t.x = i end local u = redis.call('time') \
                  return {redis.call('get','k'), (u[1] - t[1]) * 1000000 + u[2] - t[2]}";
    let reply = eval(&mut rig, "a", script, &["0"]);
    let us: i64 = reply.trim_end().rsplit(':').next().and_then(|text| text.parse().ok()).expect("microseconds");
    assert!(reply.starts_with("*2\r\n$1\r\nv\r\n") && us > 10_000, "{reply}");
}

/// A script that is run in parts calls each command once, and sees what the others did meanwhile.
#[test]
fn long_scripts_call_commands_once() {
    let mut rig = rig("busy-reply-threshold 5");
    let script = "local log = {} for i = 1, 200 do log[i] = redis.call('incr', KEYS[1]) for j = 1, 20000 do end end \
                  local t = redis.call('time') return {log[1], log[200], #log, redis.call('dbsize'), t[1] * 1000000 + t[2]}";
    rig.ask("b", "SET other 1");
    let us = rig.now.unix.us();
    assert_eq!(eval(&mut rig, "a", script, &["1", "n"]), "");
    rig.pass(40);
    assert!(rig.ask("b", "SCRIPT KILL").starts_with("-UNKILLABLE"));
    let mut fork = rig.clone();
    rig.pass(100);
    let reply = String::from_utf8_lossy(&rig.take_reply("a")).into_owned();
    assert!(reply.starts_with("*5\r\n:1\r\n:200\r\n:200\r\n:2\r\n:"), "{reply}");
    let last: u64 = reply.trim_end().rsplit(':').next().and_then(|text| text.parse().ok()).expect("microseconds");
    assert!((80_000..81_000).contains(&(last - us)), "{}", last - us);
    assert_eq!(rig.ask("b", "GET n"), "$3\r\n200\r\n");
    fork.pass(100);
    assert_eq!(String::from_utf8_lossy(&fork.take_reply("a")), reply);
}

/// A script that only calls commands is run no further than twice the time that has passed: it sees what others do meanwhile.
#[test]
fn scripts_of_commands_see_what_others_do() {
    let mut rig = rig("busy-reply-threshold 10\nenable-debug-command yes");
    assert_eq!(rig.ask("a", "DEBUG SET-DISABLE-DENY-SCRIPTS 1"), "+OK\r\n");
    rig.ask("b", "PING");
    let script = "redis.call('set', KEYS[1], '1') local n, clients = 0 while true do clients = redis.call('client', 'list') \
                  n = n + 1 if clients:find('enough') then break end end \
                  return n + redis.call('incr', KEYS[1])";
    assert_eq!(eval(&mut rig, "a", script, &["1", "k"]), "");
    rig.pass(200);
    assert_eq!(rig.ask("b", "PING"), BUSY);
    assert!(rig.ask("b", "SCRIPT KILL").starts_with("-UNKILLABLE"));
    let mut other = rig.clone();
    assert!(rig.ask("b", "HELLO 2 SETNAME enough").starts_with('*'));
    rig.pass(400);
    let calls: u64 =
        String::from_utf8_lossy(&rig.take_reply("a")).trim_matches([':', '\r', '\n']).parse().expect("a number");
    // Two clients, 2 us each, and what any command takes: seen when the script goes on next.
    assert!((40_000..90_000).contains(&calls), "{calls}");
    assert_eq!(rig.ask("b", "GET k"), "$1\r\n2\r\n");
    other.pass(400);
    assert_eq!(other.ask("b", "PING"), BUSY, "nobody has said that it is enough");
}

/// A script that counts its commands ends when it has counted them, and not before.
#[test]
fn scripts_of_commands_end_in_time() {
    let mut rig = rig("busy-reply-threshold 10");
    let script =
        "for i = 1, 200000 do redis.call('incr', KEYS[1]) redis.call('ping') end return redis.call('get', KEYS[1])";
    assert_eq!(eval(&mut rig, "a", script, &["1", "k"]), "");
    rig.pass(250);
    assert_eq!(rig.ask("b", "PING"), BUSY);
    assert!(rig.take_reply("a").is_empty());
    // 1.4 us for each two commands, and some instructions.
    rig.pass(250);
    assert_eq!(String::from_utf8_lossy(&rig.take_reply("a")), "$6\r\n200000\r\n");
    assert_eq!(rig.ask("b", "PING"), "+PONG\r\n");
}

const LIBRARY: &str = "#!lua name=lib\n\
    local n, memo = 0, {}\n\
    local function counter() local c = 0 return function(by) c = c + by return c end end\n\
    local count = counter()\n\
    redis.register_function('up', function() n = n + 1 return n end)\n\
    redis.register_function('fails', function(k) n = n + 10 memo[#memo + 1] = k[1] error('no') end)\n\
    redis.register_function('caught', function(k) pcall(function() n = n + 1 error('no') end) return n end)\n\
    redis.register_function('remember', function(k, a) memo[k[1]] = (memo[k[1]] or '') .. a[1] return memo[k[1]] end)\n\
    redis.register_function('store', function(k) n = n + redis.call('incr', k[1]) return n end)\n\
    redis.register_function('draw', function() memo.x = math.random() return tostring(memo.x) end)\n\
    redis.register_function('count', function(k, a) return count(tonumber(a[1])) end)\n\
    redis.register_function('where', function() return tostring(memo) end)\n\
    redis.register_function('all', function() local r = {n} for k, v in pairs(memo) do r[#r + 1] = k .. '=' .. v end return r end)";

fn load(rig: &mut Rig, code: &str) {
    rig.send("a", &["FUNCTION", "LOAD", "REPLACE", code].map(str::to_owned));
    assert_eq!(rig.take_reply("a")[0], b'$');
}

const CALLS: [&str; 10] = [
    "FCALL up 0",
    "FCALL fails 1 k",
    "FCALL caught 0",
    "FCALL remember 1 a x",
    "FCALL remember 1 b y",
    "FCALL store 1 k",
    "FCALL draw 0",
    "FCALL count 0 3",
    "FCALL where 0",
    "FCALL all 0",
];

/// What functions keep in variables is the server's, wherever its copies go on and whatever this thread remembers.
#[test]
fn libraries_keep_their_variables() {
    let mut rig = rig("");
    load(&mut rig, LIBRARY);
    let replies: Vec<String> = CALLS.iter().chain(&CALLS).map(|call| rig.ask("a", call)).collect();
    assert_eq!((&*replies[0], &*replies[10]), (":1\r\n", ":14\r\n"));
    assert_eq!((&*replies[7], &*replies[17]), (":3\r\n", ":6\r\n"));
    assert_eq!(replies[8], replies[18], "a table has one address");
    let mut random = crate::rng::Seed(7).stream("test", "calls");
    let mut draw = |most: u64| usize::try_from(random.next_u64() % most).expect("small");
    let start = rig.clone();
    let calls: Vec<&str> = (0..200).map(|_| CALLS[draw(10)]).collect();
    let expected: Vec<String> = calls.iter().map(|call| rig.ask("a", call)).collect();
    rig = start;
    for (step, call) in calls.iter().enumerate() {
        let mut other = rig.clone();
        match draw(4) {
            0 => CALLS[..draw(10)].iter().for_each(|call| drop(other.ask("a", call))),
            1 => {
                let mut left = std::mem::replace(&mut rig, other);
                CALLS[..draw(4)].iter().for_each(|call| drop(left.ask("a", call)));
            }
            2 => super::scripting::forget_interpreters(),
            _ => {}
        }
        assert_eq!(rig.ask("a", call), expected[step], "call {step}");
    }
}

/// A new library, or the same one loaded again, begins afresh; other libraries don't.
#[test]
fn loading_forgets_variables() {
    let mut rig = rig("");
    let code = |name: &str| {
        format!("#!lua name={name}\nlocal n = 0\nredis.register_function('{name}', function() n = n + 1 return n end)")
    };
    load(&mut rig, &code("one"));
    load(&mut rig, &code("two"));
    let ask = |rig: &mut Rig| (rig.ask("a", "FCALL one 0"), rig.ask("a", "FCALL two 0"));
    let both = |one: u32, two: u32| (format!(":{one}\r\n"), format!(":{two}\r\n"));
    assert_eq!((ask(&mut rig), ask(&mut rig)), (both(1, 1), both(2, 2)));
    load(&mut rig, &code("one"));
    assert_eq!(ask(&mut rig), both(1, 3));
    assert_eq!(rig.ask("a", "DEBUG RELOAD"), "+OK\r\n");
    assert_eq!(ask(&mut rig), both(1, 1));
}

/// A function that is killed leaves what it had done by then.
#[test]
fn killed_functions_leave_what_they_did() {
    let mut rig = rig("busy-reply-threshold 10");
    let code = "#!lua name=lib\nlocal n = 0\n\
                redis.register_function('f', function() n = 0 while true do n = n + 1 end end)\n\
                redis.register_function('get', function() return n end)";
    load(&mut rig, code);
    assert_eq!(rig.ask("a", "FCALL f 0"), "");
    rig.pass(50);
    let mut later = rig.clone();
    let number = |rig: &mut Rig| {
        assert_eq!(rig.ask("b", "FUNCTION KILL"), "+OK\r\n");
        rig.pass(1);
        assert!(String::from_utf8_lossy(&rig.take_reply("a")).starts_with("-ERR Script killed"));
        let reply = rig.ask("b", "FCALL get 0");
        reply.trim_end().trim_start_matches(':').parse::<u64>().expect("a number")
    };
    let first = number(&mut rig);
    assert_eq!(number(&mut later.clone()), first);
    later.pass(50);
    let second = number(&mut later);
    // Two or three instructions of 20 ns each.
    assert!((600_000..900_000).contains(&first) && (1_200_000..1_800_000).contains(&second), "{first} {second}");
}

-- The world of scripts, as Redis makes it. Lua 5.1 itself has no tables that can't be changed: each one that scripts
-- can reach is an empty table that stands for a real one. What of Lua shows addresses, or depends on them, or lets
-- state outlive a script, has a substitute here.
--
-- Gets the functions in Rust and the libraries; returns what Rust calls.
local native, libraries = ...

local type, error, next, pairs, select, unpack = type, error, next, pairs, select, unpack
local rawget, rawset, setmetatable, getmetatable = rawget, rawset, setmetatable, getmetatable
local raw_pcall, raw_xpcall, raw_tostring, raw_collect = pcall, xpcall, tostring, collectgarbage
local raw_loadstring, raw_load, setfenv = loadstring, load, setfenv
local find, format, sub = string.find, string.format, string.sub
local create, raw_resume = coroutine.create, coroutine.resume
local caught_value, handler = native.caught, native.handler

-- Tables that can't be changed, by what stands for them, and what is shown as the metatables of these.
local real, shown = {}, {}

local function refuse()
  error("Attempt to modify a readonly table", 2)
end

local function seal(contents, index)
  local stand_in = {}
  real[stand_in] = contents
  return setmetatable(stand_in, { __index = index or contents, __newindex = refuse, __metatable = false })
end

local function missing(_, name)
  if type(name) ~= "string" and type(name) ~= "number" then
    error("Second argument to luaProtectedTableError must be a string or number", 2)
  end
  error("Script attempted to access nonexistent global variable '" .. name .. "'", 2)
end

local function bad(name, value, missing_value)
  error("bad argument #1 to '" .. name .. "' (table expected, got " .. (missing_value and "no value" or type(value)) .. ")", 3)
end

-- The order of keys that are addresses would differ from process to process.
local addressed = { table = true, ["function"] = true, userdata = true, thread = true }

local function unordered()
  error("the order of a table's keys that are tables or functions is not modelled", 3)
end

local function safe_next(...)
  local t, k = ...
  if type(t) ~= "table" then
    bad("next", t, select("#", ...) == 0)
  end
  t = real[t] or t
  local key, value = next(t, k)
  if addressed[type(key)] and (k ~= nil or next(t, key) ~= nil) then
    unordered()
  end
  return key, value
end

local function safe_pairs(...)
  local t = ...
  if type(t) ~= "table" then
    bad("pairs", t, select("#", ...) == 0)
  end
  t = real[t] or t
  for key in next, t do
    if addressed[type(key)] and next(t, next(t)) ~= nil then
      unordered()
    end
  end
  return next, t, nil
end

local function safe_setmetatable(...)
  if select("#", ...) > 0 and real[(...)] then
    error("Attempt to modify a readonly table", 0)
  end
  return setmetatable(...)
end

local function safe_getmetatable(...)
  local t = ...
  if t ~= nil and real[t] then
    return shown[t]
  end
  return getmetatable(...)
end

local function safe_rawset(t, k, v)
  if real[t] then
    return native.refuse()
  end
  return rawset(t, k, v)
end

local function safe_rawget(t, k)
  return rawget(real[t] or t, k)
end

-- Addresses are numbers in the order of asking.
local identities, named

local function safe_tostring(...)
  if select("#", ...) == 0 then
    error("bad argument #1 to 'tostring' (value expected)", 2)
  end
  local value = ...
  local kind = type(value)
  if not addressed[kind] then
    return raw_tostring(...)
  end
  local text = raw_tostring(value)
  if type(text) ~= "string" or not find(text, "^" .. kind .. ": 0x%x+$") then
    return text
  end
  if not identities then
    identities, named = setmetatable({}, { __mode = "k" }), 0
  end
  local number = identities[value]
  if not number then
    named = named + 1
    number = named
    identities[value] = number
  end
  return format("%s: 0x%012x", kind, 0x7f5a3c000000 + number * 64)
end

-- Errors of functions in Rust travel as userdata; who catches them gets what a function in C would have thrown.
local function caught(ok, problem, ...)
  if ok then
    return ok, problem, ...
  end
  problem = caught_value(problem)
  if type(problem) == "table" then
    local text = problem.err
    if type(text) == "string" or type(text) == "number" then
      return false, text
    end
    return false, problem, text
  end
  return false, problem
end

local function safe_pcall(...)
  return caught(raw_pcall(...))
end

local function plainly(ok, problem, ...)
  if ok then
    return ok, problem, ...
  end
  return false, caught_value(problem)
end

local function safe_xpcall(f, handle)
  return plainly(raw_xpcall(f, function(problem)
    return handle(caught_value(problem))
  end))
end

local function safe_resume(...)
  return plainly(raw_resume(...))
end

local function pack(...)
  return { n = select("#", ...), ... }
end

-- No tail call: the error's position is that of the caller, who must be next to this function.
local function safe_wrap(f)
  local thread = create(f)
  return function(...)
    local results = pack(raw_resume(thread, ...))
    if not results[1] then
      error(caught_value(results[2]), 2)
    end
    return unpack(results, 2, results.n)
  end
end

-- Compiled code is no text: its first byte is no token. A blank before it keeps Lua from reading it.
local function safe_loadstring(text, ...)
  if type(text) == "string" and sub(text, 1, 1) == "\27" then
    local name = ...
    return raw_loadstring(" " .. text, name or text)
  end
  return raw_loadstring(text, ...)
end

local function safe_load(pieces, ...)
  if type(pieces) ~= "function" then
    return raw_load(pieces, ...)
  end
  local first = true
  return raw_load(function()
    local piece = pieces()
    if first and type(piece) == "string" and piece ~= "" then
      first = false
      if sub(piece, 1, 1) == "\27" then
        return " " .. piece
      end
    end
    return piece
  end, ...)
end

-- How much memory is in use depends on what ran before.
local function safe_collect(option)
  if option == nil or option == "collect" then
    raw_collect("collect")
    raw_collect("stop")
    return 0
  elseif option == "count" then
    return 300.0
  elseif option == "step" then
    return false
  elseif option == "stop" or option == "restart" then
    return 0
  elseif option == "setpause" or option == "setstepmul" then
    return 200
  elseif type(option) ~= "string" then
    error("bad argument #1 to 'collectgarbage' (string expected, got " .. type(option) .. ")", 2)
  end
  error("bad argument #1 to 'collectgarbage' (invalid option '" .. option .. "')", 2)
end

local function copy(from)
  local to = {}
  for key, value in next, from do
    to[key] = value
  end
  return to
end

local coroutines = copy(coroutine)
coroutines.resume, coroutines.wrap = safe_resume, safe_wrap

local function base()
  local globals = {
    assert = assert, collectgarbage = safe_collect, error = error, gcinfo = function() return 300 end,
    getmetatable = safe_getmetatable, ipairs = ipairs, load = safe_load, loadstring = safe_loadstring, next = safe_next,
    pairs = safe_pairs, pcall = safe_pcall, rawequal = rawequal, rawget = safe_rawget, rawset = safe_rawset,
    select = select, setmetatable = safe_setmetatable, tonumber = tonumber, tostring = safe_tostring, type = type,
    unpack = unpack, xpcall = safe_xpcall, _VERSION = _VERSION, coroutine = seal(coroutines),
    __redis__err__handler = function(problem) return problem end,
  }
  for name, library in next, libraries do
    globals[name] = seal(library)
  end
  globals.string, globals.table = seal(string), seal(table)
  local mathematics = copy(math)
  mathematics.random, mathematics.randomseed = native.random, native.randomseed
  globals.math = seal(mathematics)
  return globals
end

local function environment(globals)
  setmetatable(globals, { __index = missing })
  local stand_in = seal(globals)
  shown[stand_in] = seal({ __index = missing })
  rawset(globals, "_G", stand_in)
  return stand_in
end

-- Commands are asked of the server that runs the script, by a function in Rust that is `redis.call` itself: after a tail call of a
-- function in Lua nothing would show who is to blame for an error. The first argument says what else is meant.
local ask
local gently, checked = {}, {}

local function call_gently(...)
  local answer = ask(gently, ...)
  return answer
end

local function check(...)
  local answer = ask(checked, ...)
  return answer
end

local redis = native.redis
redis.call, redis.pcall, redis.acl_check_cmd = native.caught, call_gently, check
local eval_globals = base()
eval_globals.redis = seal(redis)
local eval = environment(eval_globals)

-- The engine of functions has globals of its own, other ones while a library is being loaded.
local function_redis = copy(redis)
function_redis.breakpoint, function_redis.debug, function_redis.replicate_commands = nil, nil, nil
local function_globals = base()
function_globals.redis = seal(function_redis)
function_globals.__redis__err__handler = nil
environment(function_globals)
local loading_redis = setmetatable(native.library, { __index = missing })
local loading_globals = setmetatable({ redis = seal(loading_redis) }, { __index = missing })
local functions = {}
local switch = { __index = function_globals, __newindex = refuse, __metatable = false }
real[functions] = function_globals
setmetatable(functions, switch)
shown[functions] = seal({ __index = missing })

local text = getmetatable("")
text.__metatable = seal({ __index = seal(string) })

-- Tables that stand for others and that a script has written to all the same, by a function in C.
local function clean()
  for stand_in in next, real do
    if next(stand_in) ~= nil then
      for key in next, stand_in do
        rawset(stand_in, key, nil)
      end
    end
  end
end

return {
  compile = function(text, name, globals)
    local f, problem = safe_loadstring(text, name)
    if f then
      setfenv(f, globals)
    end
    return f, problem
  end,
  eval = eval,
  functions = functions,
  gently = gently,
  checked = checked,
  restore = function(code, globals)
    return setfenv(raw_loadstring(code), globals)
  end,
  -- For the debugger: code whose assignments to globals it is told of.
  debugged = function(code, tell)
    return setfenv(raw_loadstring(code), setmetatable({}, { __index = eval_globals, __newindex = tell, __metatable = false }))
  end,
  attempt = raw_pcall,
  show = safe_tostring,
  real = real,
  run = function(f, server, keys, args)
    identities, ask = nil, server
    redis.call = server
    eval_globals.KEYS, eval_globals.ARGV = keys, args
    return raw_xpcall(f, handler)
  end,
  call = function(f, server, keys, args, lives_on)
    if not lives_on then
      identities = nil
    end
    ask = server
    function_redis.call = server
    return raw_xpcall(function()
      return f(keys, args)
    end, handler)
  end,
  load = function(f)
    identities = nil
    switch.__index = loading_globals
    local ok, problem = raw_pcall(f)
    switch.__index = function_globals
    if not ok then
      return false, caught_value(problem)
    end
    return true
  end,
  clean = clean,
}

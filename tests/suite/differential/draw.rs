//! From a number to a command: which one, which of its options, which keys and values.

use super::grammar::{Arg, Grammar};

/// A small generator (SplitMix64): what it draws depends on its number alone, so that proptest can shrink the list of them.
pub(super) struct Draw(u64);

const SCRIPTS: &[&str] = &[
    "return redis.call('SET', KEYS[1], ARGV[1])",
    "redis.call('RPUSH', KEYS[1], ARGV[1], 'b'); return redis.call('LRANGE', KEYS[1], 0, -1)",
    "return redis.pcall('INCR', KEYS[1])",
    "redis.call('HSET', KEYS[1], 'f', ARGV[1]); redis.call('EXPIRE', KEYS[1], 100000); return redis.call('NOPE')",
    "return {1, 'two', {3, false, true}, 3.99, KEYS[1], #ARGV}",
    "return redis.error_reply('MY error')",
    "return cjson.encode({redis.call('TYPE', KEYS[1]), ARGV[1]})",
    "redis.setresp(3); return redis.call('HGETALL', KEYS[1])",
];

impl Draw {
    pub(super) fn new(seed: u64) -> Draw {
        Draw(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).expect("below a usize")
    }

    pub(super) fn percent(&mut self, share: u64) -> bool {
        self.next() % 100 < share
    }

    pub(super) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// One command: its words.
    pub(super) fn command(&mut self, grammars: &[Grammar]) -> Vec<String> {
        if self.percent(3) {
            return vec![self.pick(&["MULTI", "EXEC", "DISCARD", "EXEC"]).to_owned()];
        }
        let grammar = &grammars[self.below(grammars.len())];
        let mut words: Vec<String> = grammar.name.to_uppercase().split(' ').map(str::to_owned).collect();
        let head = words.len();
        for arg in &grammar.args {
            self.arg(arg, grammar, &mut words);
        }
        self.count_keys(grammar, &mut words);
        if words.len() > head && self.percent(6) {
            self.spoil(head, &mut words);
        }
        words
    }

    /// An argument is left out, said twice, replaced or put in another place.
    fn spoil(&mut self, head: usize, words: &mut Vec<String>) {
        let at = head + self.below(words.len() - head);
        match self.below(4) {
            0 => drop(words.remove(at)),
            1 => words.insert(at, words[at].clone()),
            2 => words[at] = self.pick(&["", "x", "-1", "nan", "1.5", "99999999999999999999", "(", "*"]).to_owned(),
            _ => {
                let word = words.remove(at);
                words.push(word);
            }
        }
    }

    fn arg(&mut self, arg: &Arg, grammar: &Grammar, words: &mut Vec<String>) {
        if arg.optional && !self.percent(40) {
            return;
        }
        let times = if arg.multiple { 1 + self.below(3) } else { 1 };
        for time in 0..times {
            if let Some(token) = &arg.token
                && (time == 0 || arg.multiple_token)
                && arg.kind != "pure-token"
            {
                words.push(token.clone());
            }
            self.value(arg, grammar, words);
        }
    }

    fn value(&mut self, arg: &Arg, grammar: &Grammar, words: &mut Vec<String>) {
        match arg.kind.as_str() {
            "pure-token" => {
                let token = arg.token.as_ref().expect("a token");
                words.push(if self.percent(20) { token.to_lowercase() } else { token.clone() });
            }
            "oneof" => {
                let one = &arg.args[self.below(arg.args.len())];
                let times = if one.multiple { 1 + self.below(2) } else { 1 };
                if let Some(token) = one.token.as_ref().filter(|_| one.kind != "pure-token") {
                    words.push(token.clone());
                }
                for _ in 0..times {
                    self.value(one, grammar, words);
                }
            }
            "block" => {
                for inner in &arg.args {
                    self.arg(inner, grammar, words);
                }
            }
            "key" => words.push(self.key(&grammar.group)),
            "integer" => words.push(self.integer(arg, grammar)),
            "double" => {
                let value = self.pick(&["1", "2", "-1.5", "3", "0.1", "1e300", "inf", "-inf", "x", "nan", "3.0", "0"]);
                words.push(value.to_owned());
            }
            "pattern" => words.push(self.pick(&["*", "s*", "l?", "h[1-2]", "nosuch", "z1", "a*"]).to_owned()),
            "unix-time" => {
                let far = ["99999999999", "9999999999999", "1", "0", "-5", "x", "9223372036854775807"];
                words.push(self.pick(&far).to_owned());
            }
            _ => words.push(self.string(arg, grammar)),
        }
    }

    /// Keys are named after what they usually hold, so that most commands meet their own type.
    fn key(&mut self, group: &str) -> String {
        let own = match group {
            "hash" => "h",
            "list" => "l",
            "set" => "s",
            "sorted-set" => "z",
            "stream" => "x",
            "bitmap" | "string" => "t",
            "hyperloglog" => "p",
            "geo" => "g",
            _ => "",
        };
        let kind =
            if own.is_empty() || self.percent(8) { self.pick(&["h", "l", "s", "z", "x", "t", "p", "g"]) } else { own };
        format!("{kind}{}", 1 + self.below(3))
    }

    fn integer(&mut self, arg: &Arg, grammar: &Grammar) -> String {
        let name = arg.name.as_str();
        // Nothing may expire while it is compared.
        if name.contains("seconds") {
            return self.pick(&["100000", "200000000", "0", "-1", "x", "9223372036854775807"]).to_owned();
        }
        if name == "timeout" {
            return "0.01".to_owned();
        }
        if name.contains("offset") && grammar.group == "bitmap" {
            return self.pick(&["0", "1", "7", "8", "100", "#1", "4000", "-1", "x", "4294967296"]).to_owned();
        }
        if name == "cursor" {
            return self.pick(&["0", "0", "0", "0", "x", "-1"]).to_owned();
        }
        if name == "index" && grammar.name.contains("select") || grammar.name == "move" || grammar.name == "swapdb" {
            return self.pick(&["0", "1", "1", "0", "16", "x"]).to_owned();
        }
        let usual = ["0", "1", "2", "3", "5", "-1", "-2", "10", "100", "-100", "x", "9223372036854775807"];
        self.pick(&usual).to_owned()
    }

    fn string(&mut self, arg: &Arg, grammar: &Grammar) -> String {
        let name = arg.name.as_str();
        let long = "long".repeat(17);
        if grammar.group == "stream"
            && (name.contains("id") || ["start", "end", "threshold", "min-idle-time"].contains(&name))
        {
            let ids = [
                "0",
                "1-1",
                "1-2",
                "2-1",
                "5-*",
                "5-0",
                "7",
                "-",
                "+",
                "(1-1",
                "$",
                ">",
                "0-0",
                "x",
                "18446744073709551615-18446744073709551615",
            ];
            return self.pick(&ids).to_owned();
        }
        if grammar.group == "stream"
            && (name == "group" || name == "groupname" || name == "consumer" || name == "consumername")
        {
            return self.pick(&["g", "g", "g2", "c"]).to_owned();
        }
        if grammar.group == "scripting" && name == "script" {
            return self.pick(SCRIPTS).to_owned();
        }
        if grammar.group == "sorted-set" && (["min", "max", "start", "stop"].contains(&name)) {
            let ends = ["-inf", "+inf", "0", "1", "2", "(1", "(2", "-", "+", "[a", "(a", "[c", "-1", "x", "10"];
            return self.pick(&ends).to_owned();
        }
        if name == "encoding" || name == "encoding_type" {
            return self.pick(&["u8", "i8", "u1", "i64", "u63", "u64", "i16", "x"]).to_owned();
        }
        if name == "type" {
            return self.pick(&["string", "list", "set", "zset", "hash", "stream", "none"]).to_owned();
        }
        let values = [
            "a",
            "b",
            "c",
            "f1",
            "12",
            "-7",
            "",
            "3.5",
            "hello world",
            "0x1p3",
            "9223372036854775807",
            &long,
            "1",
            "2",
        ];
        self.pick(&values).to_owned()
    }

    /// A count of keys is mostly the right one.
    fn count_keys(&mut self, grammar: &Grammar, words: &mut [String]) {
        if !grammar.args.iter().any(|arg| arg.name == "numkeys") || self.percent(8) {
            return;
        }
        let before = grammar.args.iter().take_while(|arg| arg.name != "numkeys").count();
        let at = grammar.name.split(' ').count() + before;
        let is_key = |word: &&String| word.len() == 2 && "hlszxtpg".contains(&word[..1]) && "123".contains(&word[1..]);
        let keys = words.iter().skip(at + 1).take_while(is_key).count();
        if let Some(word) = words.get_mut(at) {
            *word = keys.to_string();
        }
    }
}

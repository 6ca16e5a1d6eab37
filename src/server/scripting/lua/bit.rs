//! `bit`: operations on 32 bits, as Lua BitOp 1.0.2 has them.

use mlua::{Lua, MultiValue, Result, Table};

use super::{errors, numbers};

/// The library.
pub(super) fn library(lua: &Lua) -> Result<Table> {
    let table = lua.create_table()?;
    for (name, operation) in UNARY {
        let function = move |lua: &Lua, args: MultiValue| Ok(signed(operation(bits(lua, &args, 1, name)?)));
        table.set(name, lua.create_function(function)?)?;
    }
    for (name, operation) in FOLDS {
        let function = move |lua: &Lua, args: MultiValue| {
            let mut value = bits(lua, &args, 1, name)?;
            for number in (2..=args.len()).rev() {
                value = operation(value, bits(lua, &args, number, name)?);
            }
            Ok(signed(value))
        };
        table.set(name, lua.create_function(function)?)?;
    }
    for (name, operation) in SHIFTS {
        let function = move |lua: &Lua, args: MultiValue| {
            let value = bits(lua, &args, 1, name)?;
            Ok(signed(operation(value, bits(lua, &args, 2, name)? & 31)))
        };
        table.set(name, lua.create_function(function)?)?;
    }
    table.set("tohex", lua.create_function(|lua, args: MultiValue| hex(lua, &args))?)?;
    Ok(table)
}

type Unary = (&'static str, fn(u32) -> u32);
type Binary = (&'static str, fn(u32, u32) -> u32);

const UNARY: [Unary; 3] = [("tobit", |value| value), ("bnot", |value| !value), ("bswap", u32::swap_bytes)];

const FOLDS: [Binary; 3] = [("band", |a, b| a & b), ("bor", |a, b| a | b), ("bxor", |a, b| a ^ b)];

const SHIFTS: [Binary; 5] = [
    ("lshift", |value, by| value << by),
    ("rshift", |value, by| value >> by),
    ("arshift", |value, by| (value.cast_signed() >> by).cast_unsigned()),
    ("rol", u32::rotate_left),
    ("ror", u32::rotate_right),
];

fn signed(value: u32) -> i32 {
    value.cast_signed()
}

/// An argument's low 32 bits, rounded to the nearest integer.
#[expect(clippy::cast_possible_truncation, reason = "that is the point")]
fn bits(lua: &Lua, args: &MultiValue, number: usize, name: &str) -> Result<u32> {
    match args.get(number - 1).and_then(numbers::of) {
        Some(value) => Ok((value + 6_755_399_441_055_744.0).to_bits() as u32),
        None => errors::expected(lua, args, number, name, "number"),
    }
}

fn hex(lua: &Lua, args: &MultiValue) -> Result<String> {
    let value = bits(lua, args, 1, "tohex")?;
    let digits = if args.len() < 2 { 8 } else { bits(lua, args, 2, "tohex")?.cast_signed() };
    let count = usize::try_from(digits.unsigned_abs().min(8)).unwrap_or(8);
    let text = if digits < 0 { format!("{value:08X}") } else { format!("{value:08x}") };
    Ok(text[8 - count..].to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_wrap() {
        let lua = mlua::Lua::new();
        lua.globals().set("bit", super::library(&lua).expect("a library")).expect("a global");
        let eval = |code: &str| lua.load(code).eval::<f64>().expect("a number");
        assert_eq!(eval("bit.tobit(5e9)"), 705_032_704.0);
        assert_eq!(eval("bit.band(-1, 0xff, 0x3c)"), 60.0);
        assert_eq!(eval("bit.arshift(-8, 2)"), -2.0);
    }
}

//! Compiled Lua 5.1, as `string.dump` writes it: as much of it as is looked at.

/// Lua 5.1 for 64-bit machines with the lowest byte first and doubles.
pub(super) const HEADER: [u8; 12] = [0x1b, b'L', b'u', b'a', 0x51, 0, 1, 4, 8, 4, 8, 0];
/// Instructions that matter, by Lua's own names.
pub(super) mod op {
    pub(in super::super) const MOVE: u32 = 0;
    pub(in super::super) const LOADK: u32 = 1;
    pub(in super::super) const LOADBOOL: u32 = 2;
    pub(in super::super) const LOADNIL: u32 = 3;
    pub(in super::super) const GETUPVAL: u32 = 4;
    pub(in super::super) const GETGLOBAL: u32 = 5;
    pub(in super::super) const GETTABLE: u32 = 6;
    pub(in super::super) const SETUPVAL: u32 = 8;
    pub(in super::super) const SETTABLE: u32 = 9;
    pub(in super::super) const SELF: u32 = 11;
    pub(in super::super) const ADD: u32 = 12;
    pub(in super::super) const CONCAT: u32 = 21;
    pub(in super::super) const JMP: u32 = 22;
    pub(in super::super) const EQ: u32 = 23;
    pub(in super::super) const TEST: u32 = 26;
    pub(in super::super) const TESTSET: u32 = 27;
    pub(in super::super) const CALL: u32 = 28;
    pub(in super::super) const TAILCALL: u32 = 29;
    pub(in super::super) const RETURN: u32 = 30;
    pub(in super::super) const FORLOOP: u32 = 31;
    pub(in super::super) const FORPREP: u32 = 32;
    pub(in super::super) const TFORLOOP: u32 = 33;
    pub(in super::super) const SETLIST: u32 = 34;
    pub(in super::super) const CLOSE: u32 = 35;
    pub(in super::super) const CLOSURE: u32 = 36;
    pub(in super::super) const VARARG: u32 = 37;
    pub(in super::super) const SETGLOBAL: u32 = 7;
}

/// A function as it was compiled.
pub(super) struct Proto<'a> {
    pub(super) upvalues: u8,
    pub(super) code: Vec<Instruction>,
    /// Where the code lies in the chunk.
    pub(super) at: usize,
    /// Texts among its constants.
    pub(super) texts: Vec<Option<&'a [u8]>>,
    pub(super) protos: Vec<Proto<'a>>,
}

impl<'a> Proto<'a> {
    /// The outermost function of a chunk; `None`: this isn't compiled code for this machine.
    pub(super) fn of(chunk: &'a [u8]) -> Option<Proto<'a>> {
        let rest = chunk.strip_prefix(&HEADER)?;
        Reader { rest, len: chunk.len() }.proto()
    }
}

/// One instruction.
#[derive(Clone, Copy)]
pub(super) struct Instruction(pub(super) u32);

impl Instruction {
    pub(super) fn op(self) -> u32 {
        self.0 & 0x3f
    }

    pub(super) fn a(self) -> usize {
        (self.0 >> 6 & 0xff) as usize
    }

    pub(super) fn c(self) -> usize {
        (self.0 >> 14 & 0x1ff) as usize
    }

    pub(super) fn b(self) -> usize {
        (self.0 >> 23) as usize
    }

    pub(super) fn bx(self) -> usize {
        (self.0 >> 14) as usize
    }

    /// Where it jumps to from the instruction behind it.
    pub(super) fn jump(self, pc: usize) -> Option<usize> {
        (pc + 1 + self.bx()).checked_sub(131_071)
    }
}

/// A reader of compiled code; `None`: it isn't such code.
pub(super) struct Reader<'a> {
    /// What is left.
    pub(super) rest: &'a [u8],
    len: usize,
}

impl<'a> Reader<'a> {
    /// From the beginning of some code.
    pub(super) fn new(code: &'a [u8]) -> Reader<'a> {
        Reader { rest: code, len: code.len() }
    }

    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(super) fn int(&mut self) -> Option<u32> {
        self.take(4).map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// A text with the zero at its end.
    fn text(&mut self) -> Option<&'a [u8]> {
        let (low, high) = (self.int()?, self.int()?);
        let text = self.take(if high == 0 { low as usize } else { usize::MAX })?;
        Some(text.strip_suffix(b"\0").unwrap_or(text))
    }

    pub(super) fn many<T>(&mut self, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.int()?;
        (0..count).map(|_| one(self)).collect()
    }

    fn proto(&mut self) -> Option<Proto<'a>> {
        self.text()?;
        self.take(8)?;
        let upvalues = self.byte()?;
        self.take(3)?;
        let at = self.len - self.rest.len() + 4;
        let code = self.many(|reader| reader.int().map(Instruction))?;
        let texts = self.many(|reader| match reader.byte()? {
            0 => Some(None),
            1 => reader.take(1).map(|_| None),
            3 => reader.take(8).map(|_| None),
            4 => reader.text().map(Some),
            _ => None,
        })?;
        let protos = self.many(Reader::proto)?;
        self.many(Reader::int)?;
        self.many(|reader| {
            reader.text()?;
            reader.take(8)
        })?;
        self.many(Reader::text)?;
        Some(Proto { upvalues, code, at, texts, protos })
    }
}

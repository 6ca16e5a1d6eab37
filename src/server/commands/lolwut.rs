//! LOLWUT: computer art of Redis 5 and 6, drawn with the server's own random numbers.

use super::flag::{FAST, READONLY};
use super::{Spec, row};
use crate::rng::Rng;
use crate::server::call::Cx;

/// The row of this group.
pub(crate) const SPECS: &[Spec] = &[row("lolwut", -1, READONLY | FAST, (0, 0, 0), "@read @fast", lolwut)];

/// Pixels, a row after the other.
struct Canvas {
    width: i32,
    height: i32,
    pixels: Vec<u8>,
}

impl Canvas {
    fn new(width: i32, height: i32, background: u8) -> Canvas {
        let size = usize::try_from(width * height).unwrap_or(0);
        Canvas { width, height, pixels: vec![background; size] }
    }

    fn place(&self, x: i32, y: i32) -> Option<usize> {
        let inside = (0..self.width).contains(&x) && (0..self.height).contains(&y);
        usize::try_from(x + y * self.width).ok().filter(|_| inside)
    }

    fn draw(&mut self, x: i32, y: i32, colour: u8) {
        if let Some(at) = self.place(x, y) {
            self.pixels[at] = colour;
        }
    }

    fn get(&self, x: i32, y: i32) -> u8 {
        self.place(x, y).map_or(0, |at| self.pixels[at])
    }

    /// Bresenham's line.
    fn line(&mut self, from: (i32, i32), to: (i32, i32)) {
        let ((mut x, mut y), (dx, dy)) = (from, ((to.0 - from.0).abs(), (to.1 - from.1).abs()));
        let mut error = dx - dy;
        loop {
            self.draw(x, y, 1);
            if (x, y) == to {
                return;
            }
            let twice = error * 2;
            if twice > -dy {
                error -= dy;
                x += (to.0 - from.0).signum();
            }
            if twice < dx {
                error += dx;
                y += (to.1 - from.1).signum();
            }
        }
    }

    /// A square around a point, turned by an angle.
    fn square(&mut self, centre: (i32, i32), side: f64, angle: f64) {
        let radius = libm::round(side / std::f64::consts::SQRT_2);
        let corner = |quarter: u8| {
            let turn = std::f64::consts::FRAC_PI_4 + angle + f64::from(quarter) * std::f64::consts::FRAC_PI_2;
            let x = libm::round(libm::sin(turn) * radius + f64::from(centre.0));
            (whole(x), whole(libm::round(libm::cos(turn) * radius + f64::from(centre.1))))
        };
        for quarter in 0..4 {
            self.line(corner(quarter), corner((quarter + 1) % 4));
        }
    }
}

/// A coordinate without its fraction.
#[allow(clippy::cast_possible_truncation, reason = "coordinates are small")]
fn whole(x: f64) -> i32 {
    x as i32
}

fn below(rng: &mut Rng, most: i32) -> i32 {
    let most = u64::try_from(most.max(1)).unwrap_or(1);
    i32::try_from(rng.next_u64() % most).unwrap_or(0)
}

/// `LOLWUT [VERSION <version>] [<argument> ...]`
fn lolwut(cx: &mut Cx<'_>) {
    let (mut version, mut first) = (7, 1);
    if cx.args.len() >= 3 && cx.arg_is(1, "version") {
        let Some(wanted) = cx.int_arg(2) else { return };
        (version, first) = (wanted, 3);
    }
    let mut numbers = [0; 3];
    let (defaults, most): (&[i64], &[i64]) = match version {
        5 => (&[66, 8, 12], &[1_000, 200, 200]),
        6 => (&[80, 20], &[1_000, 1_000]),
        _ => (&[], &[]),
    };
    for (i, (default, most)) in defaults.iter().zip(most).enumerate() {
        let mut number = *default;
        if first + i < cx.args.len() {
            let Some(wanted) = cx.int_arg(first + i) else { return };
            number = wanted.clamp(1, *most);
        }
        numbers[i] = i32::try_from(number).unwrap_or(1);
    }
    let text = match version {
        5 => schotter(&mut cx.s.rng, numbers) + "\nGeorg Nees - schotter, plotter on paper, 1968. Redis ver. 7.0.15\n",
        6 => {
            skyline(&mut cx.s.rng, numbers[0], numbers[1])
                + "\nDedicated to the 8 bit game developers of past and present.\n\
                   Original 8 bit image from Plaguemon by hikikomori. Redis ver. 7.0.15\n"
        }
        _ => "Redis ver. 7.0.15\n".to_owned(),
    };
    cx.add_verbatim(text.as_bytes(), *b"txt");
}

/// Squares that fall into disorder from the third row on.
fn schotter(rng: &mut Rng, [columns, across, down]: [i32; 3]) -> String {
    let width = columns * 2;
    let padding = if width > 4 { 2 } else { 0 };
    let side = f64::from(width - padding * 2) / f64::from(across);
    let mut canvas = Canvas::new(width, whole(side * f64::from(down)) + padding * 2, 0);
    for y in 0..down {
        for x in 0..across {
            let centre = |at: i32| whole(f64::from(at) * side + side / 2.0 + f64::from(padding));
            let (mut place, mut angle) = ((centre(x), centre(y)), 0.0);
            if y > 1 {
                let mut disorder = || {
                    let share = f64::from(below(rng, 1 << 30)) / f64::from(1 << 30);
                    let size = share / f64::from(down) * f64::from(y);
                    if below(rng, 2) == 1 { -size } else { size }
                };
                angle = disorder();
                place.0 += whole(disorder() * side / 3.0);
                place.1 += whole(disorder() * side / 3.0);
            }
            canvas.square(place, side, angle);
        }
    }
    braille(&canvas)
}

/// Two columns and four rows of pixels are one character.
fn braille(canvas: &Canvas) -> String {
    const DOTS: [(i32, i32); 8] = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)];
    let mut text = String::new();
    for y in (0..canvas.height).step_by(4) {
        for x in (0..canvas.width).step_by(2) {
            let dots = DOTS.iter().enumerate().filter(|(_, (dx, dy))| canvas.get(x + dx, y + dy) != 0);
            let bits: u32 = dots.map(|(bit, _)| 1 << bit).sum();
            text.push(char::from_u32(0x2800 + bits).expect("a braille pattern"));
        }
        if y != canvas.height - 1 {
            text.push('\n');
        }
    }
    text
}

/// A tower of the skyline.
struct Tower {
    x: i32,
    width: i32,
    height: i32,
    windows: bool,
    colour: u8,
}

impl Tower {
    fn draw(&self, canvas: &mut Canvas, rng: &mut Rng) {
        let ground = canvas.height - 1;
        let roof = ground - self.height + 1;
        for y in (roof..=ground).rev() {
            for x in self.x..self.x + self.width {
                if y == roof && (x <= self.x + 1 || x >= self.x + self.width - 2) {
                    continue;
                }
                let inner = x > self.x + 1 && x < self.x + self.width - 2 && y > roof + 1 && y < ground - 1;
                let mut colour = self.colour;
                let (dx, dy) = (x - (self.x + 1), y - (roof + 1));
                if self.windows && inner && dx / 2 % 2 != 0 && dy % 2 != 0 {
                    colour = if below(rng, 2) == 0 { 1 } else { 2 };
                    if dx % 2 != 0 {
                        colour = canvas.get(x - 1, y);
                    }
                }
                canvas.draw(x, y, colour);
            }
        }
    }
}

/// Towers in three layers, the nearest with windows.
fn skyline(rng: &mut Rng, columns: i32, rows: i32) -> String {
    let mut canvas = Canvas::new(columns, rows, 3);
    for colour in [2, 1, 0] {
        let mut x = -10;
        while x < columns {
            x += below(rng, 8);
            let mut width = if colour == 0 { 5 + below(rng, 14) } else { 10 + below(rng, 9) };
            let height = match colour {
                2 => rows / 2 + below(rng, rows) / 2,
                1 => rows / 2 + below(rng, rows) / 3,
                _ => rows / 3 + below(rng, rows) / 2,
            };
            if colour == 0 && width % 4 != 0 {
                width += width % 3;
            }
            Tower { x, width, height, windows: colour == 0, colour }.draw(&mut canvas, rng);
            x += match colour {
                2 => width / 2,
                1 => width + 1,
                _ => width + 5,
            };
        }
    }
    let mut text = String::new();
    for y in 0..rows {
        for x in 0..columns {
            text.push_str(match canvas.get(x, y) {
                1 => "\x1b[0;90;100m \x1b[0m",
                2 => "\x1b[0;37;47m \x1b[0m",
                3 => "\x1b[0;97;107m \x1b[0m",
                _ => "\x1b[0;30;40m \x1b[0m",
            });
        }
        if y != rows - 1 {
            text.push('\n');
        }
    }
    text
}

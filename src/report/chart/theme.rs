//! Colours, sizes and dashes. The colours are Okabe and Ito's, which people with any kind of colour blindness can tell
//! apart; where two things differ in kind, they also differ in shape, place or label.

use crate::fault::FaultKind;

/// A colour with its opacity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Color {
    /// Red, green, blue.
    pub(crate) rgb: (u8, u8, u8),
    /// 0 is transparent, 1 opaque.
    pub(crate) alpha: f64,
}

impl Color {
    const fn new(rgb: u32) -> Color {
        let [_, r, g, b] = rgb.to_be_bytes();
        Color { rgb: (r, g, b), alpha: 1.0 }
    }

    /// The same, more transparent.
    pub(crate) const fn fade(self, alpha: f64) -> Color {
        Color { rgb: self.rgb, alpha }
    }

    /// Black or white, whichever reads better on it.
    pub(crate) fn ink(self) -> Color {
        let (r, g, b) = self.rgb;
        let luma = u32::from(r) * 299 + u32::from(g) * 587 + u32::from(b) * 114;
        if luma > 150_000 { INK } else { WHITE }
    }
}

pub(crate) const WHITE: Color = Color::new(0xff_ffff);
pub(crate) const INK: Color = Color::new(0x1a_1a1a);
pub(crate) const MUTED: Color = Color::new(0x5f_6368);
pub(crate) const RULE: Color = Color::new(0xd5_d8dc);
pub(crate) const FAINT: Color = Color::new(0xec_eef0);
pub(crate) const GREY: Color = Color::new(0x99_9fa6);

pub(crate) const ORANGE: Color = Color::new(0xe6_9f00);
pub(crate) const PALE_ORANGE: Color = Color::new(0xf4_cd7d);
pub(crate) const SKY: Color = Color::new(0x56_b4e9);
pub(crate) const GREEN: Color = Color::new(0x00_9e73);
pub(crate) const YELLOW: Color = Color::new(0xf0_e442);
pub(crate) const BLUE: Color = Color::new(0x00_72b2);
pub(crate) const VERMILLION: Color = Color::new(0xd5_5e00);
pub(crate) const PURPLE: Color = Color::new(0xcc_79a7);

/// The colours of nodes, in the scenario's order; vermillion is kept for what went wrong.
const SERIES: [Color; 6] = [BLUE, ORANGE, GREEN, PURPLE, SKY, Color::new(0x4d_4d4d)];

/// The colours of sentinels, apart from the servers' and from what a chart of sentinels says in orange, vermillion,
/// green and blue.
const SENTINELS: [Color; 7] = [
    PURPLE,
    SKY,
    Color::new(0x4d_4d4d),
    Color::new(0x99_9933),
    Color::new(0x33_2288),
    Color::new(0x88_2255),
    Color::new(0x44_aa99),
];

/// Dash patterns in pixels, drawn and left out: the second round of colours is dashed, the third dotted.
const DASHES: [&[f64]; 3] = [&[], &[7.0, 4.0], &[2.0, 3.0]];

/// The colour of the n-th of several alike.
pub(crate) fn series(n: usize) -> Color {
    SERIES[n % SERIES.len()]
}

/// The colour of the n-th sentinel.
pub(crate) fn sentinel(n: usize) -> Color {
    SENTINELS[n % SENTINELS.len()]
}

/// Its dash pattern.
pub(crate) fn dash(n: usize) -> &'static [f64] {
    DASHES[n / SERIES.len() % DASHES.len()]
}

/// The failover state machine's colours, from the first state to the last: ever darker.
pub(crate) const STATES: [Color; 6] = [
    Color::new(0xde_ebf7),
    Color::new(0xb5_d3ea),
    Color::new(0x84_b9de),
    Color::new(0x4a_94c8),
    Color::new(0x21_69ad),
    Color::new(0x08_3f7d),
];

/// From pale yellow over green to dark blue: ever darker, so that the order survives any colour blindness and print.
const HEAT: [Color; 9] = [
    Color::new(0xff_ffd9),
    Color::new(0xed_f8b1),
    Color::new(0xc7_e9b4),
    Color::new(0x7f_cdbb),
    Color::new(0x41_b6c4),
    Color::new(0x1d_91c0),
    Color::new(0x22_5ea8),
    Color::new(0x25_3494),
    Color::new(0x08_1d58),
];

/// The colour of a value at a share between the lowest (0) and the highest (1).
pub(crate) fn heat(share: f64) -> Color {
    let mut place = share.clamp(0.0, 1.0) * 8.0;
    let mut n = 0;
    while place > 1.0 && n < HEAT.len() - 2 {
        place -= 1.0;
        n += 1;
    }
    let mix = |a: u8, b: u8| {
        let mixed = f64::from(a) + (f64::from(b) - f64::from(a)) * place;
        u8::try_from(super::px(mixed)).expect("between two bytes")
    };
    let (a, b) = (HEAT[n].rgb, HEAT[n + 1].rgb);
    Color { rgb: (mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2)), alpha: 1.0 }
}

/// The colour of a fault's band.
pub(crate) fn fault(kind: FaultKind) -> Color {
    match kind {
        FaultKind::Crash | FaultKind::Shutdown | FaultKind::PowerOff => VERMILLION,
        FaultKind::Pause | FaultKind::Cpu | FaultKind::Clock | FaultKind::Disk => ORANGE,
        FaultKind::Partition | FaultKind::Link => PURPLE,
        FaultKind::Restart | FaultKind::Exec => BLUE,
    }
}

/// Width of every chart in pixels.
pub(crate) const WIDTH: f64 = 1200.0;
/// Left edge of the plots.
pub(crate) const LEFT: f64 = 108.0;
/// Right edge of the plots.
pub(crate) const RIGHT: f64 = WIDTH - 24.0;

pub(crate) const TITLE: f64 = 20.0;
pub(crate) const BODY: f64 = 13.0;
pub(crate) const SMALL: f64 = 11.5;
pub(crate) const TINY: f64 = 10.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// Lightness as CIE has it, from 0 to 100.
    fn lightness(color: Color) -> f64 {
        let linear = |byte: u8| {
            let c = f64::from(byte) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        let (r, g, b) = color.rgb;
        let y = 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
        116.0 * y.cbrt() - 16.0
    }

    #[test]
    fn heat_grows_darker_evenly() {
        let shades: Vec<f64> = (0..=10).map(|n| lightness(heat(f64::from(n) / 10.0))).collect();
        for pair in shades.windows(2) {
            let step = pair[0] - pair[1];
            assert!((3.0..=15.0).contains(&step), "{shades:?}");
        }
    }
}

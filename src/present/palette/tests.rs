//! The promises of the palette, computed.

use super::*;

fn linear(colour: u32) -> [f64; 3] {
    let [_, r, g, b] = colour.to_be_bytes();
    [r, g, b].map(|c| {
        let c = f64::from(c) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    })
}

fn luminance(colour: u32) -> f64 {
    let [r, g, b] = linear(colour);
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

fn contrast(a: u32, b: u32) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Full-strength simulations from Machado, Oliveira and Fernandes (2009), on linear RGB.
const SIGHTS: [(&str, [[f64; 3]; 3]); 4] = [
    ("full", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    (
        "protanopia",
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    ),
    (
        "deuteranopia",
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    ),
    (
        "tritanopia",
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    ),
];

fn oklab(colour: u32, sight: &[[f64; 3]; 3]) -> [f64; 3] {
    let rgb = linear(colour);
    let [r, g, b] = [0, 1, 2].map(|i| (0..3).map(|j| sight[i][j] * rgb[j]).sum::<f64>().clamp(0.0, 1.0));
    let l = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b).cbrt();
    let m = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b).cbrt();
    let s = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b).cbrt();
    [
        0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
        1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
        0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s,
    ]
}

#[test]
fn families_stay_apart_for_every_sight() {
    // About five times the smallest difference that people notice side by side (0.02 in OKLab).
    const APART: f64 = 0.1;
    for (sight, matrix) in &SIGHTS {
        for (i, (a, first)) in FAMILIES.iter().enumerate() {
            for (b, second) in &FAMILIES[i + 1..] {
                for (x, y) in [(first[0].light, second[0].light), (first[0].dark, second[0].dark)] {
                    let (x, y) = (oklab(x, matrix), oklab(y, matrix));
                    let distance = (0..3).map(|k| (x[k] - y[k]).powi(2)).sum::<f64>().sqrt();
                    assert!(distance >= APART, "{a} and {b} are {distance:.3} apart with {sight}");
                }
            }
        }
    }
}

#[test]
fn every_shade_is_visible_on_its_background() {
    for shade in FAMILIES.iter().flat_map(|(_, shades)| *shades).chain(OTHER) {
        for background in [PAPER, STRIPE] {
            assert!(contrast(shade.light, background.light) >= 3.0, "{shade:X?} on white");
            assert!(contrast(shade.dark, background.dark) >= 3.0, "{shade:X?} on dark");
        }
    }
    for text in [INK, MUTED] {
        assert!(contrast(text.light, STRIPE.light) >= 4.5);
        assert!(contrast(text.dark, STRIPE.dark) >= 4.5);
    }
}

#[test]
fn no_two_colours_share_a_light_form() {
    // The stylesheet finds the dark form by the light one.
    let unique: BTreeSet<u32> = all().map(|c| c.light).collect();
    assert_eq!(unique.len(), all().count());
}

#[test]
fn variants_of_a_family_differ() {
    let names: Vec<String> = (0..12).map(|i| format!("dirty/{i:02}")).collect();
    let palette = Palette::new(names.iter().map(String::as_str));
    let styles: Vec<Style> = names.iter().map(|n| palette.style(n)).collect();
    for (i, a) in styles.iter().enumerate() {
        assert!(!styles[i + 1..].contains(a));
    }
    assert_eq!(palette.style("unheard/of").colour, OTHER[0]);
    assert_eq!(palette.style("fresh/unannounced").colour, family_colour("fresh"));
}

#[test]
fn neighbouring_stages_differ_for_every_sight() {
    for (sight, matrix) in &SIGHTS {
        for i in 0..8 {
            let (a, b) = (stage(i), stage(i + 1));
            for (x, y) in [(a.light, b.light), (a.dark, b.dark)] {
                let (x, y) = (oklab(x, matrix), oklab(y, matrix));
                let distance = (0..3).map(|k| (x[k] - y[k]).powi(2)).sum::<f64>().sqrt();
                assert!(distance >= 0.1, "stages {i} and {} are {distance:.3} apart with {sight}", i + 1);
            }
        }
    }
}

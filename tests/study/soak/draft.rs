//! A study as a set of choices, and the edits that a person makes to its text. Knows no cache and runs nothing.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A piece of the study's text.
enum Part {
    Fixed(&'static str),
    /// What may stand here, the usual first.
    Choice(&'static str, &'static [&'static str]),
}

use Part::{Choice, Fixed};

/// Choices that shape no result.
const SILENT: [&str; 2] = ["description", "model"];

/// What the study may include.
pub(super) const BASE: &str =
    "[study]\nname = \"base\"\n\n[statistics.redundancy]\nthreshold_sd = 1.0\nn_permutations = 19\n";

const PARTS: &[Part] = &[
    Choice("include", &["", "include = \"base.toml\"\n"]),
    Fixed("[study]\nname = \"tiny\"\n"),
    Choice("description", &["", "description = \"Words.\"\n", "description = \"Other words.\"\n"]),
    Fixed("\n[runs]\n"),
    Choice("train", &["train = [\"1\", \"2\"]\n", "train = [\"1\", \"2\", \"3\"]\n", "train = [\"2\", \"1\"]\n"]),
    Choice("test", &["test = [\"4\"]\n", "test = [\"5\"]\n"]),
    Fixed("\n[stimuli.generate]\n"),
    Choice("scenes", &["seed = 1\n", "seed = 9\n"]),
    Choice("images", &["images_per_run = 8\n", "images_per_run = 7\n", "images_per_run = 9\n"]),
    Choice("size", &["image_size_px = 32\n", "image_size_px = 48\n"]),
    Fixed("duration_s = 2.0\ngap_s = 1.0\n"),
    Choice("rest", &["rest_s = 6.0\n", "rest_s = 7.0\n"]),
    Choice("modules", &["\n", "\n[models.clip]\nmodules = [\"vision\"]\n\n"]),
    Fixed("[models.clip.random]\n"),
    Choice("weights", &["seed = 2\n", "seed = 8\n"]),
    Choice("projection", &["projection_dim = 16\n", "projection_dim = 8\n"]),
    Choice(
        "vision",
        &[
            "vision = { layers = 2, width = 32, heads = 2, mlp_width = 64, image_size = 32, patch_size = 16 }\n",
            "vision = { layers = 3, width = 32, heads = 2, mlp_width = 64, image_size = 32, patch_size = 16 }\n",
            "vision = { layers = 2, width = 32, heads = 2, mlp_width = 64, image_size = 32, patch_size = 8 }\n",
        ],
    ),
    Choice(
        "text",
        &[
            "text = { layers = 2, width = 32, heads = 2, mlp_width = 64, context_length = 16, vocab_size = 600 }\n",
            "text = { layers = 2, width = 32, heads = 4, mlp_width = 64, context_length = 24, vocab_size = 600 }\n",
        ],
    ),
    Choice(
        "controls",
        &[
            "",
            "\n[controls]\nphases = true\n",
            "\n[controls]\nlow_level = true\n",
            "\n[controls]\nphases = true\nseed = 3\n",
        ],
    ),
    Choice(
        "sweep",
        &[
            "",
            "\n[sweep.grid]\n\"patterns.dictionary.n_patterns\" = [3, 4]\n",
            "\n[sweep.grid]\n\"patterns.dictionary.n_patterns\" = [5, 4]\n",
            "\n[sweep.grid]\n\"statistics.polarity.seed\" = [0, 1]\n",
            "\n[[sweep.zip]]\n\"time.hrf\" = [\"glover\", \"spm\"]\n\"units.reduce\" = [\"mean\", \"max\"]\n",
            "\n[sweep.grid]\n\"encoding.ridge.alphas\" = { few = [1, 100], many = [1, 10, 100, 1000] }\n",
        ],
    ),
    Fixed("\n[units]\n"),
    Choice(
        "kind",
        &["kind = \"query-key\"\n", "kind = \"mlp\"\n", "kind = \"residual\"\n", "kind = [\"query-key\", \"mlp\"]\n"],
    ),
    Choice("reduce", &["", "reduce = \"max\"\n"]),
    Choice("layers", &["", "layers = [1]\n", "layers = [1, 0]\n"]),
    Fixed("\n[time]\n"),
    Choice("hrf", &["hrf = \"glover\"\n", "hrf = \"spm\"\n", "hrf = \"none\"\ndelays_s = [3.0, 4.5, 6.0]\n"]),
    Choice("trim", &["", "trim_start_s = 3.0\n", "rest = \"drop\"\n"]),
    Fixed("\n[bold.simulate]\n"),
    Choice(
        "subjects",
        &[
            "subjects = [\"sub-01\", \"sub-02\"]\n",
            "subjects = [\"sub-02\"]\n",
            "subjects = [\"sub-01\", \"sub-02\", \"sub-03\"]\n",
            "subjects = [\"sub-03\", \"sub-01\"]\n",
        ],
    ),
    Choice("pace", &["repetition_time_s = 1.5\n", "repetition_time_s = 1.6\n"]),
    Choice("model", &["", "model = \"clip\"\n"]),
    Fixed("\n[bold.simulate.brain]\n"),
    Choice("brains", &["seed = 3\n", "seed = 7\n"]),
    Choice("shape", &["shape = [8, 10, 7]\n", "shape = [8, 10, 8]\n"]),
    Fixed("voxel_size_mm = 8.0\n"),
    Choice("noise", &["snr = 2.0\n", "snr = 1.0\n", "snr = 2.0\nar1 = 0.4\n"]),
    Choice("again", &["", "repeats = { \"4\" = [\"6\"] }\n"]),
    Fixed("\n[bold.simulate.brain.networks]\n"),
    Choice(
        "visual",
        &[
            "visual = { module = \"vision\", layers = [1] }\n",
            "visual = { module = \"vision\", layers = [1], sources = 3 }\n",
            "visual = { module = \"vision\", layers = [1], snr = 0.5 }\n",
        ],
    ),
    Choice("language", &["language = { module = \"text\", layers = [1] }\n", ""]),
    Fixed("\n[preparation]\n"),
    Choice("confounds", &["confounds = [\"trans_*\", \"rot_*\"]\n", "confounds = [\"rot_x\"]\n"]),
    Choice("filter", &["high_pass_s = 128.0\n", "high_pass_s = 30.0\n"]),
    Choice("scale", &["", "scale = \"percent-change\"\n", "smoothing_fwhm_mm = 8.0\n", "drop_initial = 2\n"]),
    Choice("atlas", &["", "\n[atlas]\nvoxels = \"all\"\n", "\n[atlas]\nvoxels = { networks = [\"visual\"] }\n"]),
    Choice(
        "patterns",
        &[
            "\n[patterns.dictionary]\nn_patterns = 4\npenalty = 0.15\nseed = 4\n",
            "\n[patterns.dictionary]\nn_patterns = 5\npenalty = 0.15\nseed = 4\n",
            "\n[patterns.dictionary]\nn_patterns = 4\npenalty = 0.2\nseed = 5\n",
            "\n[patterns.pca]\nn_patterns = 3\n",
        ],
    ),
    Fixed("\n[encoding.ridge]\n"),
    Choice(
        "alphas",
        &[
            "alphas = [1, 100, 10_000]\n",
            "alphas = [1, 100, 20_000]\n",
            "alphas = [1, 10, 100, 1_000, 10_000]\n",
            "alphas = [50]\n",
        ],
    ),
    Choice("score", &["", "score = \"pearson\"\n", "alpha = \"shared\"\n"]),
    Choice("folds", &["", "folds = { blocks = { n = 3 } }\n", "folds = { blocks = { n = 3, gap_s = 5 } }\n"]),
    Choice("features", &["", "features = [\"patterns\"]\n", "features = [\"layers\"]\n"]),
    Choice(
        "significance",
        &[
            "\n[statistics.significance]\nn_permutations = 29\n",
            "",
            "\n[statistics.significance]\nn_permutations = 39\n",
            "\n[statistics.significance]\nn_permutations = 29\nmethod = \"circular-shift\"\nblock_s = 10.0\n",
            "\n[statistics.significance]\nn_permutations = 29\nfdr = 0.1\nseed = 1\n",
        ],
    ),
    Choice(
        "redundancy",
        &[
            "\n[statistics.redundancy]\nn_permutations = 29\n",
            "",
            "\n[statistics.redundancy]\nn_permutations = 29\nseed = 1\n",
        ],
    ),
    Choice(
        "polarity",
        &[
            "\n[statistics.polarity]\nn_permutations = 29\n",
            "",
            "\n[statistics.polarity]\nn_permutations = 39\nmin_opposition = 0.2\n",
        ],
    ),
    Choice("architecture", &["", "\n[statistics.architecture]\nn_permutations = 29\n"]),
    Choice(
        "hierarchy",
        &["", "\n[statistics.hierarchy]\norder = [\"visual\", \"language\", \"default\", \"limbic\"]\n"],
    ),
    Choice("group", &["", "\n[statistics.group]\nn_permutations = 29\n"]),
];

fn choices() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    PARTS.iter().filter_map(|part| if let Choice(name, choices) = part { Some((*name, *choices)) } else { None })
}

/// Draws that a seed settles.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number below `n`.
    pub(super) fn below(&mut self, n: usize) -> usize {
        self.0.random_range(0..n)
    }

    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// One of these, as often as its weight says.
    pub(super) fn weighed<T: Copy>(&mut self, from: &[(usize, T)]) -> T {
        let mut at = self.below(from.iter().map(|(weight, _)| weight).sum());
        for (weight, what) in from {
            if at < *weight {
                return *what;
            }
            at -= weight;
        }
        unreachable!("a number below the sum of the weights falls on one of them")
    }
}

/// What a study says: one of the choices at each place, and how it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Draft {
    chosen: Vec<usize>,
    style: usize,
}

/// What shapes the results of a draft, for looking it up.
pub(super) type Meaning = Vec<usize>;

/// Ways to write the same: as it is, with comments, with the line ends of another system, with other blanks.
const N_STYLES: usize = 4;

impl Draft {
    pub(super) fn usual() -> Self {
        Self { chosen: choices().map(|_| 0).collect(), style: 0 }
    }

    fn is(&self, name: &str, choice: usize) -> bool {
        choices().zip(&self.chosen).any(|((other, _), chosen)| other == name && *chosen == choice)
    }

    /// Whether it is a study for each cell of a sweep.
    pub(super) fn is_swept(&self) -> bool {
        !self.is("sweep", 0)
    }

    /// Whether the choices go together.
    fn is_sound(&self) -> bool {
        let has_patterns = !self.is("features", 2);
        let has_layers = !self.is("features", 1);
        let is_swept = |choice| self.is("sweep", choice);
        let asks_of_patterns = !self.is("redundancy", 1) || !self.is("polarity", 1) || self.is("include", 1);
        // Text drives a network only where there is text.
        (self.is("modules", 0) || self.is("language", 1) && self.is("architecture", 0))
            // A cell's field has to be there.
            && !((is_swept(1) || is_swept(2)) && self.is("patterns", 3))
            && !(is_swept(3) && self.is("polarity", 1))
            && (!is_swept(4) || self.is("hrf", 0))
            // Questions about patterns or layers need them.
            && (has_patterns || !asks_of_patterns && self.is("controls", 0))
            && (has_layers || self.is("hierarchy", 0) && self.is("architecture", 0))
            && (!self.is("hrf", 2) || !has_patterns)
            // A group of one is none.
            && !(self.is("group", 1) && self.is("subjects", 1))
            // The run that is shown again is the fourth.
            && !(self.is("again", 1) && self.is("test", 1))
    }

    /// What shapes the results.
    pub(super) fn meaning(&self) -> Meaning {
        let named = choices().zip(&self.chosen);
        named.filter(|((name, _), _)| !SILENT.contains(name)).map(|(_, chosen)| *chosen).collect()
    }

    pub(super) fn text(&self) -> String {
        let mut chosen = self.chosen.iter();
        let parts = PARTS.iter().map(|part| match part {
            Fixed(text) => *text,
            Choice(_, choices) => choices[*chosen.next().expect("a choice for each place")],
        });
        let text: String = parts.collect();
        match self.style {
            1 => text.replace("\n[", "\n# What follows is a section.\n\n["),
            2 => text.replace('\n', "\r\n"),
            3 => text.replace(" = ", "   =  ").replace("\n\n", "\n \n"),
            _ => text,
        }
    }

    /// Another draft, and what was done to get there.
    pub(super) fn edited(&self, past: &[Self], dice: &mut Dice) -> (Self, String) {
        loop {
            let mut next = self.clone();
            let all: Vec<_> = choices().collect();
            let told = match dice.weighed(&[(50, 0), (15, 1), (15, 2), (10, 3), (10, 4)]) {
                kind @ (0 | 1) => {
                    let n = if kind == 0 { 1 } else { 2 + dice.below(3) };
                    let mut told = Vec::new();
                    for _ in 0..n {
                        let place = dice.below(all.len());
                        let (name, choices) = all[place];
                        next.chosen[place] = (next.chosen[place] + 1 + dice.below(choices.len() - 1)) % choices.len();
                        told.push(format!("{name} to choice {}", next.chosen[place]));
                    }
                    told.join(", ")
                }
                2 if !past.is_empty() => {
                    let back = dice.below(past.len().min(12)) + 1;
                    next = past[past.len() - back].clone();
                    format!("all as {back} edits ago")
                }
                3 if !past.is_empty() => {
                    let earlier = dice.pick(past);
                    let differing: Vec<usize> =
                        (0..all.len()).filter(|place| earlier.chosen[*place] != self.chosen[*place]).collect();
                    let Some(place) = (!differing.is_empty()).then(|| *dice.pick(&differing)) else { continue };
                    next.chosen[place] = earlier.chosen[place];
                    format!("{} back to choice {}", all[place].0, next.chosen[place])
                }
                _ => {
                    next.style = (next.style + 1 + dice.below(N_STYLES - 1)) % N_STYLES;
                    format!("written in style {}", next.style)
                }
            };
            if next.is_sound() && next != *self {
                return (next, told);
            }
        }
    }

    /// The text with a mistake in it, and what it is.
    pub(super) fn mistaken(&self, dice: &mut Dice) -> (Vec<u8>, &'static str) {
        let plain = Self { style: 0, ..self.clone() }.text();
        let replaced = |from: &str, to: &str| plain.replacen(from, to, 1).into_bytes();
        match dice.below(7) {
            0 => (replaced("[units]\n", "[units]\nknid = \"mlp\"\n"), "an unknown key"),
            1 => (replaced("repetition_time_s = ", "repetition_time_s = \"slow\" # "), "a wrong type"),
            2 => {
                let ends: Vec<usize> = plain.match_indices(" = ").map(|(at, _)| at + 2).collect();
                (plain.as_bytes()[..*dice.pick(&ends)].to_vec(), "a file that was cut off")
            }
            3 => (replaced("module = \"vision\"", "module = \"nose\""), "an unknown module"),
            4 => {
                (replaced("[preparation]\n", "[preparation]\nhigh_pass_s = 1\nhigh_pass_s = 2\n"), "a key given twice")
            }
            5 => ([plain.as_bytes(), b"# \xff\xfe\n"].concat(), "bytes that are no text"),
            _ => (replaced("test = [\"", "test = [\"1\", \""), "a run that is both"),
        }
    }
}

#[test]
fn every_draft_is_a_study_and_no_mistaken_one_is() {
    let bench = super::super::bench::Bench::new("");
    std::fs::write(bench.folder().join("base.toml"), BASE).expect("writable");
    let (mut dice, mut draft, mut past) = (Dice::new(1), Draft::usual(), Vec::new());
    for _ in 0..300 {
        let (next, told) = draft.edited(&past, &mut dice);
        bench.write(&next.text());
        super::super::bench::read(&bench.file()).unwrap_or_else(|error| panic!("{told}: {error}\n{}", next.text()));
        let (bytes, mistake) = next.mistaken(&mut dice);
        std::fs::write(bench.file(), bytes).expect("writable");
        assert!(super::super::bench::read(&bench.file()).is_err(), "{mistake}");
        past.push(std::mem::replace(&mut draft, next));
    }
}

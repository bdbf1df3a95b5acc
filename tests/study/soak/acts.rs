//! What may happen after an edit: runs that are killed, started twice, held to a lock, robbed or starved of room.

use super::{
    driver::{Going, Soak},
    harm::{files, harm},
};
use std::{
    collections::BTreeMap,
    fs,
    process::{Command, Stdio},
    time::Duration,
};

type Act = fn(&mut Soak);

/// What happens after an edit, how often, and what it is called.
const ACTS: [(usize, (&str, Act)); 9] = [
    (16, ("plain runs", Soak::plainly)),
    (16, ("runs started twice", Soak::twice)),
    (16, ("runs killed and started again", Soak::killed)),
    (14, ("runs after damage", Soak::harmed)),
    (12, ("runs during damage", Soak::robbed)),
    (6, ("collections during runs", Soak::collected)),
    (6, ("verifications during runs", Soak::verified)),
    (6, ("runs held to a lock", Soak::locked)),
    (8, ("runs without room", Soak::starved)),
];

/// A cache on a file system with room for so many kibibytes, which then has more: what each run said lies in `full.*` and `roomy.*`.
const STARVE: &str = r#"
mount --make-rprivate / && mkdir -p small && mount -t tmpfs -o size=256m tmpfs small || exit 77
cp -a cache/. small/ || exit 78
used=$(df -k small | awk 'NR == 2 { print $3 }')
mount -o remount,size=$((used + $1))k small || exit 79
shift
"$@" --events full.events > full.out 2> full.err; echo $? > full.rc
mount -o remount,size=256m small || exit 79
"$@" --events roomy.events > roomy.out 2> roomy.err; echo $? > roomy.rc
"$0" lock study.toml --cache small --output small.lock.toml
"#;

impl Soak {
    /// Something that happens after an edit and ends with a run that ended well.
    pub(super) fn act(&mut self) {
        // The first run is one that nothing disturbs: there has to be a cache before anything can happen to it.
        let (name, act): (&'static str, Act) = if self.edit == 0 { ACTS[0].1 } else { self.dice.weighed(&ACTS) };
        self.count(name);
        act(self);
    }

    /// What happens between two edits.
    pub(super) fn between(&mut self) {
        if self.dice.chance(15) {
            self.verify();
        }
        if self.dice.chance(12) || self.edit % 10 == 9 {
            self.collect();
            self.assert_bounded();
        }
    }

    /// A text that is no study is told as such, and nothing happens.
    pub(super) fn mistake(&mut self) {
        let (bytes, what) = self.draft.mistaken(&mut self.dice);
        self.write(&bytes);
        self.note(format!("mistake: {what}"));
        let before = self.everything_cached();
        for command in ["run", "plan", "check", "lock"] {
            let answer = self.hebb(&[command, "study.toml"]);
            let is_told = answer.stderr.contains("error") && answer.stderr.contains("study.toml");
            self.assert(answer.status.code() == Some(2) && is_told, &format!("{what} is not told"), &answer);
        }
        let after = self.everything_cached();
        if before != after {
            let differs = |(path, bytes): &(&String, &Vec<u8>)| after.get(*path) != Some(*bytes);
            let changed: Vec<&String> = before.iter().filter(differs).map(|(path, _)| path).collect();
            let made: Vec<&String> = after.keys().filter(|path| !before.contains_key(*path)).collect();
            self.fail(&format!("{what} changed the cache: {changed:?}, and made {made:?}"));
        }
        self.count("mistakes");
    }

    fn everything_cached(&self) -> BTreeMap<String, Vec<u8>> {
        let read = |path: std::path::PathBuf| (path.display().to_string(), fs::read(&path).unwrap_or_default());
        files(&self.cache()).into_iter().chain(files(&self.path("results"))).map(read).collect()
    }

    fn plainly(&mut self) {
        self.good_run(&[]);
    }

    /// Two runs at once: what one has computed the other has not.
    fn twice(&mut self) {
        let first = self.start_run(&[]);
        if self.dice.chance(50) {
            let pause = self.dice.below(1500) as u64;
            std::thread::sleep(Duration::from_millis(pause));
        }
        let more: &[&str] = if self.dice.chance(50) { &["--results", "other"] } else { &[] };
        let second = self.start_run(more);
        let (first, second) = (self.end_of(first), self.end_of(second));
        for answer in [&first, &second] {
            self.assert(answer.status.success(), "one of two runs at once failed", answer);
        }
        let both: Vec<&str> = first.computed().intersection(&second.computed()).copied().collect();
        if !both.is_empty() && !first.met_damage() && !second.met_damage() {
            self.assert(false, &format!("computed by both of two runs: {both:?}"), &second);
        }
    }

    /// Kills a run at a random moment.
    fn kill(&mut self, mut run: Going) {
        // Some are killed when every task has ended, while results are laid out.
        let n = if self.dice.chance(25) { usize::MAX } else { self.dice.below(60) };
        let delay = self.dice.below(40_000) as u64;
        self.wait_for(&mut run, n);
        std::thread::sleep(Duration::from_micros(delay));
        let _ = run.child.kill();
        let answer = self.end_of(run);
        let ended = if answer.status.code().is_none() { "killed" } else { "not killed, since it had ended" };
        self.note(format!("  {ended}, after {n} tasks and {delay} us"));
        if answer.status.code().is_none() {
            self.count("kills");
        }
    }

    fn killed(&mut self) {
        for _ in 0..1 + self.dice.below(3) {
            let run = self.start_run(&[]);
            if self.dice.chance(20) {
                let other = self.start_run(&[]);
                self.kill(other);
            }
            self.kill(run);
        }
        if self.dice.chance(30)
            && let Some(before) = self.past.pop()
        {
            self.note("the edit is given up".to_owned());
            self.draft = before;
            self.write(self.draft.text().as_bytes());
            self.count("edits given up after a kill");
        }
        self.good_run(&[]);
    }

    /// Does damage, and remembers that it was done.
    fn harm(&mut self, fresh: bool) {
        let Some(done) = harm(&self.cache(), fresh, &mut self.dice) else { return };
        self.note(format!("harm: {}", done.told));
        self.is_harmed = true;
        // Both records of a result may be set aside, and what is made again may be harmed again.
        self.harmed_bytes += 2 * done.size_bytes;
        self.count("damages");
    }

    fn harmed(&mut self) {
        for _ in 0..1 + self.dice.below(3) {
            self.harm(false);
        }
        self.good_run(&[]);
    }

    /// Damage while a run goes on: it ends well or says what is wrong, and the next one is right.
    fn robbed(&mut self) {
        let mut run = self.start_run(&[]);
        for _ in 0..1 + self.dice.below(2) {
            let n = self.dice.below(50);
            self.wait_for(&mut run, n);
            let delay = self.dice.below(20_000) as u64;
            std::thread::sleep(Duration::from_micros(delay));
            let fresh = self.dice.chance(60);
            self.harm(fresh);
        }
        let answer = self.end_of(run);
        let is_told = answer.status.code().is_some() && !answer.stderr.is_empty();
        self.assert(answer.status.success() || is_told, "a run ended without a word", &answer);
        if !answer.status.success() {
            self.note(format!("  it failed: {}", answer.stderr.trim_end()));
            self.count("runs that damage made fail");
        }
        self.good_run(&[]);
        // What was computed from damaged bytes would be kept, and nobody would know.
        let clean = self.clean_run();
        self.compare(clean, "a run whose results were harmed and a clean one");
    }

    fn collected(&mut self) {
        let mut run = self.start_run(&[]);
        let n = self.dice.below(40);
        self.wait_for(&mut run, n);
        let gc = self.hebb(&["cache", "gc", "--grace", "0"]);
        let is_refused = gc.status.code() == Some(2)
            && (gc.stderr.contains("is in use, so nothing was removed")
                || self.is_harmed && gc.stderr.contains("does not read"));
        self.assert(gc.status.success() || is_refused, "a collection beside a run", &gc);
        self.count(if gc.status.success() { "collections that got their turn" } else { "collections refused" });
        let answer = self.end_of(run);
        self.assert(answer.status.success(), "a run beside a collection failed", &answer);
        if gc.status.success() {
            // It may have come between what the run found and what it noted.
            self.good_run(&[]);
        }
    }

    fn verified(&mut self) {
        let mut run = self.start_run(&[]);
        let n = self.dice.below(40);
        self.wait_for(&mut run, n);
        self.verify();
        let answer = self.end_of(run);
        self.assert(answer.status.success(), "a run beside a verification failed", &answer);
        self.good_run(&[]);
    }

    /// Reads every byte of the cache: nothing is damaged that nobody harmed.
    fn verify(&mut self) {
        let aside = self.dice.chance(50);
        let answer = self.hebb(if aside { &["cache", "verify", "--set-aside"] } else { &["cache", "verify"] });
        let is_right = answer.status.success() || self.is_harmed && answer.status.code() == Some(1);
        self.assert(is_right, "the cache is not whole, and nobody harmed it", &answer);
        self.count("verifications");
    }

    /// Removes what the study does not need.
    pub(super) fn collect(&mut self) {
        // What is damaged and reached by nobody is removed as it is; what is reached is made again first.
        if self.is_harmed {
            self.hebb(&["cache", "verify", "--set-aside"]);
            self.good_run(&[]);
        }
        let answer = self.hebb(&["cache", "gc", "--grace", "0"]);
        self.assert(answer.status.success(), "the collection failed", &answer);
        self.count("collections");
    }

    /// What was locked is what a run of the same text is held to, and another text is refused.
    fn locked(&mut self) {
        let has_lock = self.path("study.lock.toml").exists();
        if has_lock {
            let going = self.start_run(&["--locked"]);
            let answer = self.end_of(going);
            let told = answer.stderr.contains("the study is not as it was locked in");
            let is_right = answer.status.success() || answer.status.code() == Some(2) && told;
            self.assert(is_right, "a run held to an older lock", &answer);
            self.count(if answer.status.success() { "runs as locked before" } else { "runs refused by an older lock" });
        }
        self.good_run(&[]);
        let answer = self.hebb(&["lock", "study.toml"]);
        self.assert(answer.status.success(), "the study cannot be locked after a run", &answer);
        self.harm(false);
        let answer = self.good_run(&["--locked"]);
        self.assert(answer.events.iter().all(|event| event["event"] != "differed"), "other bytes than locked", &answer);
    }

    /// A cache on a file system that is too small: one clear error, and once there is room the run goes on.
    fn starved(&mut self) {
        let room_kib = 50 + self.dice.below(900);
        for name in
            ["full", "roomy"].iter().flat_map(|run| ["out", "err", "rc", "events"].map(|end| format!("{run}.{end}")))
        {
            let _ = fs::remove_file(self.path(&name));
        }
        let mut command = Command::new("unshare");
        let hebb = env!("CARGO_BIN_EXE_hebb");
        command.args(["-m", "sh", "-c", STARVE, hebb, &room_kib.to_string(), hebb]);
        command.args(["run", "study.toml", "--cache", "small", "--results", "starved"]);
        command.current_dir(self.path("")).stdin(Stdio::null());
        for name in ["HEBB_CACHE", "HEBB_SETTINGS"] {
            command.env_remove(name);
        }
        command.env("XDG_CONFIG_HOME", self.path("")).env("HEBB_SITE_SETTINGS", self.path("site.toml"));
        let going = self.start_command(command, &format!("a cache with room for {room_kib} KiB"));
        let answer = self.end_of(going);
        let read = |name: &str| fs::read_to_string(self.path(name)).unwrap_or_default();
        let (full, roomy) = (read("full.rc"), read("roomy.rc"));
        let told = format!("full:\n{}\n{}roomy:\n{}\n{}", full, read("full.err"), roomy, read("roomy.err"));
        if full.is_empty() && answer.status.code() == Some(77) {
            println!("skipped: no small file system here: {}", answer.stderr.trim_end());
            self.count("small file systems that could not be had");
            self.good_run(&[]);
            return;
        }
        let folder = self.path("small").canonicalize().unwrap_or_else(|_| self.path("small"));
        let is_told = read("full.err").contains(&format!("no room is left in `{}`", folder.display()));
        match full.trim() {
            "0" => self.count("runs that fitted"),
            "1" if is_told => self.count("runs that ran out of room"),
            _ => self.assert(false, &format!("no room, and this was said of `{}`:\n{told}", folder.display()), &answer),
        }
        self.assert(roomy.trim() == "0", &format!("there is room again, and the run fails:\n{told}"), &answer);
        self.good_run(&[]);
        let outcome = self.outcome_of("starved", "small.lock.toml");
        self.compare(outcome, "a cache that had no room for a while and the others");
    }
}

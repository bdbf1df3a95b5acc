//! The works that the methods cite, in full, as readers and as reference managers want them.
//!
//! A work is listed where a paragraph names it as the table does, so that the list of a study has what its methods cite and no more.
//! Works on data sets, atlases and programs, which no paragraph names, are asked for by name ([`work_named`]).

mod works;

use works::WORKS;

/// What a work appeared in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Venue {
    /// A journal.
    Journal,
    /// A conference.
    Proceedings,
    /// arXiv alone.
    Preprint,
}

/// A published work; fields that it does not have are empty.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// How methods name it, as `Langsrud 2005`.
    pub named: &'static str,
    /// Its key in a BibTeX file: last name of the first author, year, a word of the title.
    pub key: &'static str,
    /// What it appeared in.
    pub kind: Venue,
    /// Authors as BibTeX has them: `Last, First and Last, First`.
    pub authors: &'static str,
    /// Title, with braces around letters whose case matters.
    pub title: &'static str,
    /// Journal or conference.
    pub venue: &'static str,
    /// What the report calls a conference.
    pub short_venue: &'static str,
    /// Volume.
    pub volume: &'static str,
    /// Number within the volume.
    pub number: &'static str,
    /// Pages, as `90--101`, or number of the article.
    pub pages: &'static str,
    /// Year.
    pub year: u16,
    /// Digital object identifier.
    pub doi: &'static str,
    /// Number on arXiv.
    pub arxiv: &'static str,
}

/// Authors that a report names one by one; of more it names the first three.
const MOST_AUTHORS: usize = 6;

impl Work {
    /// The work in one line, as a report lists it.
    #[must_use]
    pub fn in_words(&self) -> String {
        let all: Vec<String> = self.authors.split(" and ").map(short_name).collect();
        let others = all.iter().any(|name| name == "others");
        let n_named = if all.len() > MOST_AUTHORS { 3 } else { all.len() - usize::from(others) };
        let more = if n_named < all.len() { ", et al." } else { "" };
        let authors = all[..n_named].join(", ") + more;
        let title = self.title.replace(['{', '}'], "");
        let venue = if self.short_venue.is_empty() { self.venue } else { self.short_venue };
        let mut place = venue.to_owned();
        if !self.volume.is_empty() {
            place.push_str(&format!(" {}", self.volume));
        }
        if !self.number.is_empty() {
            place.push_str(&format!("({})", self.number));
        }
        if !self.pages.is_empty() {
            place.push_str(&format!(", {}", self.pages.replace("--", "-")));
        }
        let place = if place.is_empty() { place } else { format!("{place}. ") };
        let at = if self.doi.is_empty() { format!("arXiv:{}", self.arxiv) } else { format!("doi:{}", self.doi) };
        format!("{authors} ({}). {title}. {place}{at}", self.year)
    }
}

/// `Nunez-Elizalde, Anwar O.` -> `Nunez-Elizalde AO`.
fn short_name(name: &str) -> String {
    let Some((last, first)) = name.split_once(", ") else { return name.replace(['{', '}'], "") };
    let initials = |part: &str| {
        let names = part.split('-').filter_map(|name| name.chars().next()).map(String::from);
        names.collect::<Vec<_>>().join("-")
    };
    let first: String = first.split(' ').map(initials).collect();
    format!("{} {first}", last.replace(['{', '}'], ""))
}

/// The works that some text cites, by name.
#[must_use]
pub fn cited(paragraphs: &[String]) -> Vec<&'static Work> {
    let is_cited = |name: &str| paragraphs.iter().any(|paragraph| paragraph.contains(name));
    WORKS.iter().filter(|work| is_cited(work.named)).collect()
}

/// The work that the table has under this name.
#[must_use]
pub fn work_named(name: &str) -> Option<&'static Work> {
    WORKS.iter().find(|work| work.named == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn works_read_as_papers_list_them() {
        let words = |name| work_named(name).expect("it is in the table").in_words();
        assert_eq!(
            words("Dupre la Tour et al. 2022"),
            "Dupré la Tour T, Eickenberg M, Nunez-Elizalde AO, Gallant JL (2022). Feature-space selection with banded ridge \
             regression. NeuroImage 264, 119728. doi:10.1016/j.neuroimage.2022.119728"
        );
        assert_eq!(
            words("Dou et al. 2022"),
            "Dou Z-Y, Xu Y, Gan Z, et al. (2022). An empirical study of training end-to-end vision-and-language \
             transformers. CVPR, 18166-18176. arXiv:2111.02387"
        );
        assert_eq!(
            words("Kornblith et al. 2019"),
            "Kornblith S, Norouzi M, Lee H, Hinton G (2019). Similarity of neural network representations revisited. ICML, \
             PMLR 97, 3519-3529. arXiv:1905.00414"
        );
        assert_eq!(
            words("Liu et al. 2019"),
            "Liu Y, Ott M, Goyal N, et al. (2019). RoBERTa: a robustly optimized BERT pretraining approach. arXiv:1907.11692"
        );
        assert!(words("Gorgolewski et al. 2016").starts_with("Gorgolewski KJ, et al. (2016). The brain imaging"));
    }

    /// Keys are last name, year and a word of the title, no two alike; names, years and where to find a work are all there.
    #[test]
    fn every_work_is_complete() {
        let mut keys = std::collections::BTreeSet::new();
        for work in &WORKS {
            let plain = |text: &str| -> String {
                let letter = |letter: char| if letter == 'é' { 'e' } else { letter.to_ascii_lowercase() };
                text.chars().map(letter).filter(char::is_ascii_alphanumeric).collect()
            };
            let last = plain(work.authors.split(',').next().expect("an author"));
            let start = format!("{last}{}", work.year);
            let word = work.key.strip_prefix(&start).unwrap_or_else(|| panic!("`{}`: {start}", work.key));
            assert!(!word.is_empty() && plain(work.title).contains(word), "{}", work.key);
            assert!(work.named.contains(&work.year.to_string()), "{}", work.named);
            assert!(work.doi.starts_with("10.") || !work.arxiv.is_empty(), "{}", work.key);
            assert_eq!(work.venue.is_empty(), work.kind == Venue::Preprint, "{}", work.key);
            assert_eq!(work.title.matches('{').count(), work.title.matches('}').count());
            assert!(keys.insert(work.key), "`{}` twice", work.key);
        }
    }

    #[test]
    fn a_work_is_listed_once_and_only_where_it_is_cited() {
        let methods =
            ["(Mairal et al. 2009; more)".to_owned(), "again (Mairal et al. 2009), of Glover (1999)".to_owned()];
        let works = cited(&methods);
        assert_eq!(works.len(), 2);
        assert!(works[0].in_words().starts_with("Glover GH") && works[1].in_words().starts_with("Mairal J"));
        assert!(cited(&[]).is_empty());
    }

    /// Every year in the sentences that methods are made of ends the name of a work in the table.
    #[test]
    fn every_citation_of_the_methods_has_its_work() {
        let source = include_str!("../plan/methods.rs").split("#[cfg(test)]").next().expect("code before its tests");
        let mut n_years = 0;
        for (at, _) in source.match_indices(|letter: char| letter.is_ascii_digit()) {
            let year = source.get(at..at + 4).filter(|year| year.bytes().all(|byte| byte.is_ascii_digit()));
            let starts = !source[..at].ends_with(|letter: char| letter.is_ascii_digit());
            if starts && year.is_some_and(|year| year.starts_with("19") || year.starts_with("20")) {
                let until = source[..at + 4].to_owned();
                let named = WORKS.iter().any(|work| until.ends_with(work.named.trim_end_matches(')')));
                assert!(named, "no work for `{}`", &until[until.len().saturating_sub(40)..]);
                n_years += 1;
            }
        }
        assert!(n_years >= 12, "{n_years} citations found");
    }
}

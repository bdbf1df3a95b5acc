//! The works that the methods cite, in full.
//!
//! A work is listed where a paragraph names it as the table does, so that the list of a study has what its methods cite and no more.

/// How the methods name a work, and the work.
const WORKS: [(&str, &str); 17] = [
    (
        "Behzadi et al. 2007",
        "Behzadi Y, Restom K, Liau J, Liu TT (2007). A component based noise correction method (CompCor) for BOLD and perfusion based \
         fMRI. NeuroImage 37(1), 90-101. doi:10.1016/j.neuroimage.2007.04.042",
    ),
    (
        "Benjamini and Hochberg 1995",
        "Benjamini Y, Hochberg Y (1995). Controlling the false discovery rate: a practical and powerful approach to multiple testing. \
         Journal of the Royal Statistical Society B 57(1), 289-300. doi:10.1111/j.2517-6161.1995.tb02031.x",
    ),
    (
        "Besag and Clifford 1991",
        "Besag J, Clifford P (1991). Sequential Monte Carlo p-values. Biometrika 78(2), 301-304. doi:10.1093/biomet/78.2.301",
    ),
    (
        "Devlin et al. 2019",
        "Devlin J, Chang M-W, Lee K, Toutanova K (2019). BERT: pre-training of deep bidirectional transformers for language \
         understanding. NAACL-HLT, 4171-4186. doi:10.18653/v1/N19-1423",
    ),
    (
        "Dosovitskiy et al. 2021",
        "Dosovitskiy A, Beyer L, Kolesnikov A, et al. (2021). An image is worth 16x16 words: transformers for image recognition at \
         scale. ICLR. arXiv:2010.11929",
    ),
    (
        "Dou et al. 2022",
        "Dou Z-Y, Xu Y, Gan Z, et al. (2022). An empirical study of training end-to-end vision-and-language transformers. CVPR, \
         18166-18176. arXiv:2111.02387",
    ),
    (
        "Dupre la Tour et al. 2022",
        "Dupré la Tour T, Eickenberg M, Nunez-Elizalde AO, Gallant JL (2022). Feature-space selection with banded ridge regression. \
         NeuroImage 264, 119728. doi:10.1016/j.neuroimage.2022.119728",
    ),
    (
        "Glover (1999)",
        "Glover GH (1999). Deconvolution of impulse response in event-related BOLD fMRI. NeuroImage 9(4), 416-429. \
         doi:10.1006/nimg.1998.0419",
    ),
    (
        "Hubert and Schultz 1976",
        "Hubert L, Schultz J (1976). Quadratic assignment as a general data analysis strategy. British Journal of Mathematical and \
         Statistical Psychology 29(2), 190-241. doi:10.1111/j.2044-8317.1976.tb00714.x",
    ),
    (
        "Kornblith et al. 2019",
        "Kornblith S, Norouzi M, Lee H, Hinton G (2019). Similarity of neural network representations revisited. ICML, PMLR 97, \
         3519-3529. arXiv:1905.00414",
    ),
    (
        "Langsrud 2005",
        "Langsrud Ø (2005). Rotation tests. Statistics and Computing 15(1), 53-60. doi:10.1007/s11222-005-4789-5",
    ),
    (
        "Liu et al. 2019",
        "Liu Y, Ott M, Goyal N, et al. (2019). RoBERTa: a robustly optimized BERT pretraining approach. arXiv:1907.11692",
    ),
    (
        "Mairal et al. 2009",
        "Mairal J, Bach F, Ponce J, Sapiro G (2009). Online dictionary learning for sparse coding. ICML, 689-696. \
         doi:10.1145/1553374.1553463",
    ),
    (
        "Radford et al. 2021",
        "Radford A, Kim JW, Hallacy C, et al. (2021). Learning transferable visual models from natural language supervision. ICML, \
         PMLR 139, 8748-8763. arXiv:2103.00020",
    ),
    (
        "Schoppe et al. 2016",
        "Schoppe O, Harper NS, Willmore BDB, King AJ, Schnupp JWH (2016). Measuring the performance of neural models. Frontiers in \
         Computational Neuroscience 10, 10. doi:10.3389/fncom.2016.00010",
    ),
    (
        "Tibshirani 1996",
        "Tibshirani R (1996). Regression shrinkage and selection via the lasso. Journal of the Royal Statistical Society B 58(1), 267-288. \
         doi:10.1111/j.2517-6161.1996.tb02080.x",
    ),
    (
        "Winkler et al. 2015",
        "Winkler AM, Webster MA, Vidaurre D, Nichols TE, Smith SM (2015). Multi-level block permutation. NeuroImage 123, 253-268. \
         doi:10.1016/j.neuroimage.2015.05.092",
    ),
];

/// The works that some text cites, by name.
pub(super) fn cited(paragraphs: &[String]) -> Vec<&'static str> {
    let is_cited = |name: &str| paragraphs.iter().any(|paragraph| paragraph.contains(name));
    WORKS.iter().filter(|(name, _)| is_cited(name)).map(|(_, work)| *work).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_work_is_listed_once_and_only_where_it_is_cited() {
        let methods =
            ["(Mairal et al. 2009; more)".to_owned(), "again (Mairal et al. 2009), of Glover (1999)".to_owned()];
        let works = cited(&methods);
        assert_eq!(works.len(), 2);
        assert!(works[0].starts_with("Glover GH") && works[1].starts_with("Mairal J"));
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
                let named = WORKS.iter().any(|(name, _)| until.ends_with(name.trim_end_matches(')')));
                assert!(named, "no work for `{}`", &until[until.len().saturating_sub(40)..]);
                n_years += 1;
            }
        }
        assert!(n_years >= 12, "{n_years} citations found");
    }
}

//! `validate`: it comes to what the kubelet comes to, and says all of it.

#[path = "../node/src/agreement.rs"]
mod agreement;

use stand_in::configurations;

/// The words of the table are the kubelet's; the node test compares them with a kubelet.
#[test]
fn agrees_with_the_kubelet() {
    let folder = tempfile::tempdir().expect("a directory");
    let plugins = folder.path().join("plugins");
    configurations::make_plugins(&plugins).expect("made");
    let rows = configurations::all();
    for (index, row) in rows.iter().enumerate() {
        let config = row.write(&folder.path().join(index.to_string())).expect("written");
        let checked = agreement::check(&config, &plugins);
        let (theirs, ours) = (agreement::of_words(row.words), agreement::of_checked(&checked));
        assert_eq!(ours, theirs, "{}: {}\n{:#?}", row.name, row.words, checked.problems);
        assert_eq!(checked.starts(), row.words.is_empty(), "{}", row.name);
    }
    let good = rows.iter().filter(|row| row.words.is_empty()).count();
    assert!(good >= 20 && rows.len() - good >= 40, "{good} of {} are good", rows.len());
}

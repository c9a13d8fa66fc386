# Sourced by the scripts beside it: they run from the root of the repository and use the pinned tools.
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tool() { go tool -modfile=.ci/tools.mod "$@"; }

# our_go lists our Go files, NUL-separated: none of npm's, none of test data.
our_go() { find . \( -name node_modules -o -name testdata -o -name .git \) -prune -o -name '*.go' -print0; }

package crdt

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"weft/crdt/crdttest"
)

// tied is an element whose order to one of the same key and another kind
// contradicts itself, like that of the structs that yjs merges.
type tied struct{ Key, Kind, ID int }

func compareTied(x, y tied) int {
	switch {
	case x.Key != y.Key:
		return x.Key - y.Key
	case x.Kind != y.Kind:
		return -1
	}
	return 0
}

// sortAgain reads lists from standard input. It sorts each, gives its first
// element the next key of the steps, or drops it for the key -1, and sorts
// again. It writes the ids of all outcomes.
const sortAgain = `
const compare = (x, y) => x.Key !== y.Key ? x.Key - y.Key : x.Kind === y.Kind ? 0 : -1
const cases = JSON.parse(require('fs').readFileSync(0))
console.log(JSON.stringify(cases.map(({ List, Steps }) => {
  const outcomes = []
  List.sort(compare)
  for (const key of Steps) {
    outcomes.push(List.map(x => x.ID))
    if (key < 0) List = List.slice(1)
    else List[0].Key = key
    List.sort(compare)
  }
  outcomes.push(List.map(x => x.ID))
  return outcomes
})))`

type sortCase struct {
	List  []tied
	Steps []int
}

// sorts returns the ids after each sort.
func (c sortCase) sorts() [][]int {
	list := slices.Clone(c.List)
	s := newTimsort(list, compareTied)
	var outcomes [][]int
	note := func() {
		s.sort()
		ids := make([]int, 0, len(list)-s.head)
		for _, x := range list[s.head:] {
			ids = append(ids, x.ID)
		}
		outcomes = append(outcomes, ids)
	}
	note()
	for _, key := range c.Steps {
		if key < 0 {
			s.dropFirst()
		} else {
			list[s.head].Key = key
			s.changedFirst()
		}
		note()
	}
	return outcomes
}

// randomCase draws a list of up to most elements in one of several shapes.
func randomCase(r *rand.Rand, most int) sortCase {
	n := 1 + r.IntN(most)
	keys := 1 + r.IntN(2*n)
	kinds := 1 + r.IntN(3)
	c := sortCase{Steps: []int{}}
	for id := range n {
		c.List = append(c.List, tied{r.IntN(keys), r.IntN(kinds), id})
	}
	switch r.IntN(5) {
	case 0: // as it is
	case 1:
		slices.SortStableFunc(c.List, func(x, y tied) int { return x.Key - y.Key })
	case 2:
		slices.SortStableFunc(c.List, func(x, y tied) int { return y.Key - x.Key })
	case 3: // a few runs
		for part := range slices.Chunk(c.List, 1+n/(1+r.IntN(6))) {
			slices.SortStableFunc(part, func(x, y tied) int { return x.Key - y.Key })
		}
	case 4: // nearly sorted
		slices.SortStableFunc(c.List, func(x, y tied) int { return x.Key - y.Key })
		for range 1 + n/20 {
			i, j := r.IntN(n), r.IntN(n)
			c.List[i], c.List[j] = c.List[j], c.List[i]
		}
	}
	for range r.IntN(min(n, 40)) {
		key := -1
		if r.IntN(3) > 0 {
			key = r.IntN(keys)
		}
		c.Steps = append(c.Steps, key)
	}
	return c
}

func TestTimsortIsThatOfV8(t *testing.T) {
	node, err := exec.LookPath("node")
	crdttest.Require(t, "node, whose Array.prototype.sort is the model", err)
	seed := crdttest.Seed(t, 1)
	r := rand.New(rand.NewPCG(seed, 0))
	var cases []sortCase
	for i := range 300 {
		cases = append(cases, randomCase(r, []int{8, 40, 80, 300, 1500}[i%5]))
	}
	in, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "-e", sortAgain)
	cmd.Stdin = strings.NewReader(string(in))
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, complaints.String())
	}
	var want [][][]int
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	if len(want) != len(cases) {
		t.Fatalf("node sorted %d lists, want %d", len(want), len(cases))
	}
	for i, c := range cases {
		for step, got := range c.sorts() {
			if !slices.Equal(got, want[i][step]) {
				t.Fatalf("list %d of %d elements, sort %d = %v, want %v", i, len(c.List), step, clip(got), clip(want[i][step]))
			}
		}
	}
}

func clip(ids []int) string { return fmt.Sprint(ids[:min(len(ids), 40)]) }

// TestTimsortRemembers compares with sorts that start from scratch.
func TestTimsortRemembers(t *testing.T) {
	r := rand.New(rand.NewPCG(crdttest.Seed(t, 1), 1))
	for i := range 300 {
		c := randomCase(r, 400)
		list := slices.Clone(c.List)
		fresh := func() {
			newTimsort(list, compareTied).sort()
		}
		outcomes := c.sorts()
		fresh()
		for step, key := range append(c.Steps, -1) {
			for j, x := range list {
				if outcomes[step][j] != x.ID {
					t.Fatalf("list %d, sort %d differs at %d from one that starts from scratch", i, step, j)
				}
			}
			if key < 0 {
				list = list[1:]
			} else {
				list[0].Key = key
			}
			fresh()
		}
	}
}

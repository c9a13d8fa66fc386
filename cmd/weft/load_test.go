package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// TestLoad lets a process use a known share of each resource, one after the other above the rest.
func TestLoad(t *testing.T) {
	cores := float64(runtime.GOMAXPROCS(0))
	for _, c := range []struct {
		by     string
		conns  int
		memory int64
		files  int
		cpu    float64 // cores
		commit time.Duration
		want   float64
	}{
		{"connections", 50, 0, 0, 0, 0, .5},
		{"memory", 10, 600, 0, 0, 0, .6},
		{"files", 10, 0, 90, 0, 0, .9},
		{"files", 10, 0, 500, 0, 0, 1},
		{"cpu", 10, 100, 10, cores * .7, 10 * time.Millisecond, .7},
		{"commit", 10, 100, 10, 0, 200 * time.Millisecond, .8},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			m := &loadMeter{
				connections: func() int { return c.conns }, connectionsLimit: 100, memoryLimit: 1000,
				usage: func() processUsage {
					return processUsage{cpu: time.Duration(c.cpu * float64(time.Since(began))), memory: c.memory, files: c.files, filesLimit: 100}
				},
			}
			go m.run(t.Context())
			for range 4 * loadWindow {
				time.Sleep(loadEvery)
				if c.commit > 0 {
					m.committed(c.commit)
				}
			}
			synctest.Wait()
			l := m.load()
			if l.By != c.by || l.Load < c.want-1e-3 || l.Load > c.want+1e-3 || len(l.Resources) != 5 {
				t.Errorf("load() = %+v, want %.2f by %s", l, c.want, c.by)
			}
		})
	}
}

// TestLoadForgets lets a process be busy once.
func TestLoadForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &loadMeter{connections: func() int { return 0 }, usage: func() processUsage { return processUsage{} }}
		go m.run(t.Context())
		synctest.Wait()
		m.committed(time.Second)
		if l := m.load(); l.By != "commit" || l.Load != 1 {
			t.Errorf("load() = %+v, want 1 by commit", l)
		}
		time.Sleep((loadWindow + 1) * loadEvery)
		synctest.Wait()
		if l := m.load(); l.Load != 0 || len(l.Resources) != 2 { // no limits but those of cpu and commit
			t.Errorf("load() %d looks later = %+v, want 0 of cpu and commit", loadWindow+1, l)
		}
	})
}

func TestLoadAnswer(t *testing.T) {
	m := &loadMeter{connections: func() int { return 3 }, connectionsLimit: 4, usage: ownUsage, memoryLimit: memoryLimit()}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/load", nil))
	var l load
	if err := json.Unmarshal(w.Body.Bytes(), &l); err != nil {
		t.Fatal(err)
	}
	if w.Header().Get("Content-Type") != "application/json" || l.Load < .75 || l.Load > 1 || l.Resources[0] != (resource{"connections", 3, 4, "connections", .75}) {
		t.Errorf("answer = %s, want the connections at .75", w.Body)
	}
	if runtime.GOOS == "linux" && len(l.Resources) != 5 {
		t.Errorf("%d resources, want 5: %s", len(l.Resources), w.Body)
	}
}

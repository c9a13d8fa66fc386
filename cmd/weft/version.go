package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// versionCmd is the verb version.
type versionCmd struct{}

// Run prints one line.
func (versionCmd) Run(std streams) error {
	v := buildVersion()
	_, err := fmt.Fprintf(std.out, "weft %s %s %s/%s\n", v, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// buildVersion returns the module's version, or the commit that was built, or "devel".
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}

// The argocd program is every program of Argo CD that the tests need in one binary: it becomes the one whose name it
// was started under. One binary shares the code that the programs have in common.
package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	controller "github.com/argoproj/argo-cd/v3/cmd/argocd-application-controller/commands"
	reposerver "github.com/argoproj/argo-cd/v3/cmd/argocd-repo-server/commands"
	apiserver "github.com/argoproj/argo-cd/v3/cmd/argocd-server/commands"
	argocd "github.com/argoproj/argo-cd/v3/cmd/argocd/commands"
	"github.com/spf13/cobra"
	kustomize "sigs.k8s.io/kustomize/kustomize/v5/commands"
)

var programs = map[string]func() *cobra.Command{
	"argocd":                        argocd.NewCommand,
	"argocd-application-controller": controller.NewCommand,
	"argocd-repo-server":            reposerver.NewCommand,
	"argocd-server":                 apiserver.NewCommand,
	"kustomize":                     kustomize.NewDefaultCommand,
	"redis":                         redisCommand,
}

func main() {
	program, known := programs[filepath.Base(os.Args[0])]
	if !known {
		names := slices.Sorted(maps.Keys(programs))
		fmt.Fprintf(os.Stderr, "start this program through a link named one of: %s\n", strings.Join(names, ", "))
		os.Exit(2)
	}
	if program().Execute() != nil {
		os.Exit(1)
	}
}

// redisCommand serves the cache that the programs of Argo CD share. Argo CD's own tests use this implementation.
func redisCommand() *cobra.Command {
	return &cobra.Command{
		Use:  "redis ADDRESS",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, arguments []string) error {
			server := miniredis.NewMiniRedis()
			if err := server.StartAddr(arguments[0]); err != nil {
				return err
			}
			// Without it no key ever expires.
			for range time.Tick(time.Second) {
				server.FastForward(time.Second)
			}
			return nil
		},
	}
}

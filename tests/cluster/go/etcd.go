package main

import (
	"net/url"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/embed"
)

// etcdCommand serves one etcd member from the embeddable server. etcd's own main package would do the same, but pulls
// versions of generated code into the module graph that Kubernetes cannot be built with.
func etcdCommand() *cobra.Command {
	config := embed.NewConfig()
	command := &cobra.Command{
		Use:          "etcd",
		Short:        "Serve one etcd member until SIGTERM",
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(command *cobra.Command, _ []string) error {
			config.AdvertisePeerUrls = config.ListenPeerUrls
			config.InitialCluster = config.InitialClusterFromName(config.Name)
			member, err := embed.StartEtcd(config)
			if err != nil {
				return err
			}
			defer member.Close()
			stop, cancel := signal.NotifyContext(command.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer cancel()
			select {
			case <-stop.Done():
				return nil
			case err := <-member.Err():
				return err
			}
		},
	}
	flags := command.Flags()
	flags.StringVar(&config.Dir, "data-dir", "default.etcd", "folder of the data")
	flags.Var((*address)(&config.ListenClientUrls), "listen-client-urls", "where it serves clients")
	flags.Var((*address)(&config.AdvertiseClientUrls), "advertise-client-urls", "where clients find it")
	flags.Var((*address)(&config.ListenPeerUrls), "listen-peer-urls", "where it would serve other members")
	flags.BoolVar(&config.UnsafeNoFsync, "unsafe-no-fsync", false, "never wait for the disk: a crash may lose the data")
	flags.StringVar(&config.LogLevel, "log-level", "error", "least severe level that is logged")
	return command
}

// address is a flag that takes one URL, for settings of etcd that take several.
type address []url.URL

func (a *address) Set(text string) error {
	parsed, err := url.Parse(text)
	if err == nil {
		*a = address{*parsed}
	}
	return err
}

func (a *address) String() string {
	if len(*a) == 0 {
		return ""
	}
	return (*a)[0].String()
}

func (a *address) Type() string { return "URL" }

package main

import (
	"fmt"
	"net/url"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/embed"
)

// etcdCommand serves one etcd member from the embeddable server. etcd's own main package would do the same, but pulls
// versions of generated code into the module graph that Kubernetes cannot be built with.
func etcdCommand() *cobra.Command {
	var clientURL, peerURL string
	config := embed.NewConfig()
	command := &cobra.Command{
		Use:           "etcd",
		Short:         "Serve one etcd member until SIGTERM",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: false,
		RunE: func(command *cobra.Command, _ []string) error {
			client, err := url.Parse(clientURL)
			if err != nil {
				return fmt.Errorf("--listen-client-urls: %w", err)
			}
			peer, err := url.Parse(peerURL)
			if err != nil {
				return fmt.Errorf("--listen-peer-urls: %w", err)
			}
			config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
			config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{*peer}, []url.URL{*peer}
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
	flags.StringVar(&config.Name, "name", "default", "name of the member")
	flags.StringVar(&config.Dir, "data-dir", "default.etcd", "folder of the data")
	flags.StringVar(&clientURL, "listen-client-urls", "http://127.0.0.1:2379", "address for clients")
	flags.StringVar(&peerURL, "listen-peer-urls", "http://127.0.0.1:2380", "address for other members")
	flags.BoolVar(&config.UnsafeNoFsync, "unsafe-no-fsync", false, "never wait for the disk: a crash may lose the data")
	flags.StringVar(&config.LogLevel, "log-level", "error", "least severe level that is logged")
	return command
}

// Package hosts is the command archeio hosts: the hosts that clients of a stage
// need to reach.
package hosts

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"archeio/infra/stage"
	"archeio/lambda/config"
	"archeio/lambda/hosts"
	"archeio/scripts/archeio/cli"
)

// Command returns the command.
func Command() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "hosts [flags] -stage NAME",
		Short: "list the hosts that clients may be sent to",
		Long: "Lists every host and path prefix that clients of a stage connect to, for firewalls,\n" +
			"proxies and VPC endpoint policies. An upstream may redirect blobs to its own\n" +
			"storage, which is not listed.",
		Example: cli.Example("archeio hosts -stage sandbox", "archeio hosts -stage sandbox -json"),
	}
	s := cli.StageFlags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		read, err := s.Read()
		if err != nil {
			return err
		}
		all, err := of(read)
		if err != nil {
			return err
		}
		if asJSON {
			return cli.JSON(c.OutOrStdout(), map[string]any{"stage": read.Name, "hosts": all})
		}
		t := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "HOST\tPATH\tPURPOSE")
		for _, h := range all {
			fmt.Fprintf(t, "%s\t%s\t%s\n", h.Host, h.Path, h.Purpose)
		}
		return t.Flush()
	}
	return c
}

// of returns the hosts of a stage. Those that clients connect to first are the first.
func of(s *stage.Stage) ([]hosts.Host, error) {
	var all []hosts.Host
	if s.HasDistribution() {
		name := s.Domain
		if name == "" {
			// CloudFront chooses the name; the edge stack prints it.
			name = "*.cloudfront.net"
		}
		all = append(all,
			hosts.Host{Host: name, Path: "/v2/", Purpose: "the registry, through CloudFront"},
			hosts.Host{Host: name, Path: "/" + config.BlobPrefix, Purpose: "blobs from the default mirror"})
	}
	if s.HasLoadBalancers() {
		name := s.BalancerDomain()
		if !s.HasDistribution() {
			name = s.Domain
		}
		all = append(all, hosts.Host{Host: name, Path: "/v2/", Purpose: "the registry, through a load balancer"})
	}
	var configs []*config.Config
	for _, region := range s.Redirectors {
		c, err := s.Config(region)
		if err != nil {
			return nil, fmt.Errorf("stage %q: %w", s.Name, err)
		}
		configs = append(configs, c)
	}
	for _, h := range hosts.Of(configs...) {
		if s.HasDistribution() && h.Host == s.Domain {
			continue // listed above
		}
		all = append(all, h)
	}
	return all, nil
}

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
)

// serveDomains serves the host names of the hosted zone, which the emulator does not: a
// name that leads to a distribution by its cloudfront.net name, and one that leads to a
// load balancer by the emulator's path for that. Where a name leads is looked up for each
// request, so a change of the records is a change for clients at once.
func (d *deployed) serveDomains() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target, err := d.resolve(r.Context(), r.Host)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		proxy := &httputil.ReverseProxy{Transport: d.network, Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			// The checks need what a client forges to arrive.
			if forwarded, ok := r.In.Header["X-Forwarded-For"]; ok {
				r.Out.Header["X-Forwarded-For"] = forwarded
			}
		}}
		proxy.ServeHTTP(w, r)
	})
	// verify offers old versions of TLS, which it logs.
	server := &http.Server{Handler: handler, TLSConfig: &tls.Config{Certificates: d.certificates}, ErrorLog: log.New(d.log, "", 0)}
	go server.ServeTLS(l, "", "")
	d.closers = append(d.closers, func() { server.Close() })
	d.domains = l.Addr().String()
	return nil
}

// resolve returns where the emulator serves a host of the hosted zone.
func (d *deployed) resolve(ctx context.Context, host string) (*url.URL, error) {
	if host, _, err := net.SplitHostPort(host); err == nil {
		return d.resolve(ctx, host)
	}
	all, err := d.records(ctx, host)
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		switch to := strings.TrimSuffix(aws.ToString(r.AliasTarget.DNSName), "."); {
		case strings.HasSuffix(to, ".cloudfront.net"):
			return &url.URL{Scheme: "https", Host: to}, nil
		case strings.HasSuffix(to, ".elb.amazonaws.com"):
			// One of another region has a port of its own there, which the emulator does
			// not serve.
			return &url.URL{Scheme: "https", Host: "localhost:" + d.port, Path: "/_alb/" + d.balancer}, nil
		case to != host:
			return d.resolve(ctx, to)
		}
	}
	return nil, fmt.Errorf("%s has no record", host)
}

// records returns the A records of a host that are aliases.
func (d *deployed) records(ctx context.Context, host string) (found []types.ResourceRecordSet, err error) {
	client := route53.New(route53.Options{
		Region:       regions[0],
		BaseEndpoint: aws.String("https://localhost:" + d.port),
		HTTPClient:   &http.Client{Transport: d.network},
		Credentials:  credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
	})
	out, err := client.ListResourceRecordSets(ctx, &route53.ListResourceRecordSetsInput{HostedZoneId: aws.String(d.settings.zone)})
	if err != nil {
		return nil, err
	}
	for _, r := range out.ResourceRecordSets {
		if strings.TrimSuffix(aws.ToString(r.Name), ".") == host && r.Type == types.RRTypeA && r.AliasTarget != nil {
			found = append(found, r)
		}
	}
	return found, nil
}

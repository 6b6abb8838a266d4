package ranges

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/smithy-go"
	"github.com/spf13/cobra"

	"archeio/infra/stage"
	"archeio/scripts/archeio/cli"
)

// invokeFunc invokes the refresher of a stage and returns its response, or the error that
// it returned.
type invokeFunc func(ctx context.Context, s *stage.Stage, payload []byte) ([]byte, error)

func refreshCommand(invoke invokeFunc) *cobra.Command {
	return operation(invoke, &cobra.Command{
		Use:   "refresh [flags] -stage NAME",
		Short: "check the documents of all clouds now and publish what has changed",
		Long: "Invokes the function that keeps the IP ranges in the mirrors of a stage up to date,\n" +
			"as its daily schedule does.",
		Example: cli.Example("archeio ranges refresh -stage production"),
		Args:    cli.NoArgs,
	}, "refresh")
}

func approveCommand(invoke invokeFunc) *cobra.Command {
	return operation(invoke, &cobra.Command{
		Use:   "approve [flags] -stage NAME ID",
		Short: "publish a table of IP ranges that the checks refused",
		Long: "Publishes the table that waits for an approval in a stage. ID is in the mail and in\n" +
			"the log entry about it. A rollback does not hold any more afterwards.",
		Example: cli.Example("archeio ranges approve -stage production 20261126T063000Z-k3vq"),
		Args:    cli.OneArg("ID: that of the table, from the mail"),
	}, "approve")
}

func rollbackCommand(invoke invokeFunc) *cobra.Command {
	return operation(invoke, &cobra.Command{
		Use:   "rollback [flags] -stage NAME [ID]",
		Short: "publish an earlier table of IP ranges again",
		Long: "Publishes the table before the last change in a stage again, or the one with an ID.\n" +
			"Later changes wait until one is approved.",
		Example: cli.Example("archeio ranges rollback -stage production"),
		Args:    atMostOne,
	}, "rollback")
}

// operation completes a command that invokes the refresher.
func operation(invoke invokeFunc, c *cobra.Command, what string) *cobra.Command {
	var asJSON bool
	s := cli.StageFlags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print the response of the function")
	c.RunE = func(c *cobra.Command, args []string) error {
		read, err := s.Read()
		if err != nil {
			return err
		}
		if !read.Refreshes() {
			return cli.Usagef("-stage %q: rangesRefresh is none: it has no function that refreshes the IP ranges", read.Name)
		}
		event := map[string]string{"ranges": what}
		if len(args) > 0 {
			event["id"] = args[0]
		}
		payload, err := json.Marshal(event)
		if err != nil {
			return err
		}
		response, err := invoke(c.Context(), read, payload)
		if err != nil {
			return err
		}
		return writeResult(c.OutOrStdout(), response, asJSON)
	}
	return c
}

// writeResult prints the response of the refresher.
func writeResult(w io.Writer, response []byte, asJSON bool) error {
	var result struct {
		Outcome, ID, Text string
		Notes             []string
	}
	if err := json.Unmarshal(response, &result); err != nil {
		return fmt.Errorf("decoding the response of the function: %w", err)
	}
	if asJSON {
		_, err := fmt.Fprintf(w, "%s\n", response)
		return err
	}
	fmt.Fprintf(w, "%s %s\n", result.Outcome, result.ID)
	for _, note := range result.Notes {
		fmt.Fprintf(w, "note: %s\n", cli.Printable(note))
	}
	if result.Text != "" {
		fmt.Fprintf(w, "\n%s", result.Text)
	}
	return nil
}

// invoke invokes the deployed function.
func invoke(ctx context.Context, s *stage.Stage, payload []byte) ([]byte, error) {
	config, err := cli.LoadAWS(ctx, "")
	if err != nil {
		return nil, err
	}
	if err := cli.CheckCredentials(ctx, config); err != nil {
		return nil, err
	}
	name := s.RefreshFunction()
	client := lambda.NewFromConfig(config, func(o *lambda.Options) { o.Region = stage.EdgeRegion })
	out, err := client.Invoke(ctx, &lambda.InvokeInput{FunctionName: &name, Payload: payload})
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return nil, fmt.Errorf("invoking %s in %s: %s: %s", name, stage.EdgeRegion, api.ErrorCode(), cli.Printable(api.ErrorMessage()))
	}
	if err != nil {
		return nil, fmt.Errorf("invoking %s in %s: %w", name, stage.EdgeRegion, err)
	}
	if out.FunctionError != nil {
		var failed struct {
			ErrorMessage string `json:"errorMessage"`
		}
		if json.Unmarshal(out.Payload, &failed) != nil || failed.ErrorMessage == "" {
			failed.ErrorMessage = string(out.Payload)
		}
		return nil, fmt.Errorf("%s: %s", name, cli.Printable(failed.ErrorMessage))
	}
	return out.Payload, nil
}

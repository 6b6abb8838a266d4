package main

import (
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"testing"

	"archeio/lambda/config"
	"archeio/lambda/refresher"
)

func TestEvents(t *testing.T) {
	t.Parallel()
	h := &handler{&refresher.Refresher{Log: slog.New(slog.DiscardHandler)}, config.AWSNotices}
	notice := func(topic, message string) string {
		text, err := json.Marshal(map[string]any{"Records": []any{map[string]any{"EventSource": "aws:sns", "Sns": map[string]any{"TopicArn": topic, "Message": message}}}})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, tt := range []struct{ name, event, want string }{
		{"not-json", `{`, "want a JSON object"},
		{"unknown", `{}`, "unknown event"},
		{"misspelt", `{"ranges":"refrsh"}`, "unknown event"},
		{"topic-of-another-account", notice("arn:aws:sns:us-east-1:123456789012:AmazonIpSpaceChanged", "{}"), "want " + config.AWSNotices},
		{"no-notice", notice(config.AWSNotices, "hello"), "decoding the notice of AWS"},
		{"no-token", notice(config.AWSNotices, `{"url":"https://attacker.example"}`), "synctoken"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := h.handle(t.Context(), json.RawMessage(tt.event))
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, tt.want)
			}
		})
	}
}

// The addresses of the providers cannot be replaced by those of other machines.
func TestDocumentsElsewhere(t *testing.T) {
	t.Setenv("REFRESH_DOCUMENTS", "https://attacker.example")
	if _, err := config.LoadRefresh(os.Getenv); err == nil || !strings.Contains(err.Error(), "not a loopback address") {
		t.Errorf("error %v, want one about REFRESH_DOCUMENTS", err)
	}
}

package main

import (
	"fmt"

	"archeio/scripts/lab/pull"
)

// printCommands prints commands to try while the stage stays up.
func (c *checks) printCommands() {
	cert := c.certificateFile()
	fmt.Fprintf(c.out, `
Up until Ctrl-C. The proxy resolves all hosts of AWS. Try:

  export HTTPS_PROXY=http://%[1]s SSL_CERT_FILE=%[2]s
  curl -i --cacert %[2]s https://%[3]s/v2/%[4]s/blobs/%[6]s
  curl -i --cacert %[2]s https://%[7]s/v2/%[4]s/manifests/%[5]s
  crane pull %[3]s/%[4]s:%[5]s hello.tar
  AWS_ENDPOINT_URL=https://localhost:%[8]s AWS_CA_BUNDLE=%[2]s AWS_ACCESS_KEY_ID=%[9]s AWS_SECRET_ACCESS_KEY=%[10]s \
    NO_PROXY=localhost %[11]s/aws --region %[12]s cloudformation list-stacks
`, c.proxy, cert, c.distribution, pull.Repository, pull.Tag, c.image.Blobs[0], c.stage.BalancerDomain(), c.port, accessKey, secretKey, c.python, regions[0])
}

// Command mirrors simulates the mirrors of the sample events on an address of the
// loopback interface while it runs a program:
//
//	mirrors FOLDER ADDRESS PROGRAM
//
// Command sam adds it to the code of the function, which is the program. The exit code
// is that of the program.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"archeio/scripts/lab/sample"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "mirrors: want FOLDER, ADDRESS and PROGRAM")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.Exited() {
			os.Exit(exit.ExitCode())
		}
		fmt.Fprintln(os.Stderr, "mirrors:", err)
		os.Exit(1)
	}
}

func run(folder, address, program string) error {
	stop, err := sample.ServeMirrors(context.Background(), folder, address)
	if err != nil {
		return err
	}
	defer stop()
	cmd := exec.Command(program)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}

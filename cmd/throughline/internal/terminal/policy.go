package terminal

import (
	"fmt"

	"github.com/spf13/cobra"
)

// PolicyCommand returns a command that prints an IAM policy: read or, with --write,
// write. short and example are texts of its help, writeHelp is that of the flag.
func PolicyCommand(short, example, writeHelp, read, write string) *cobra.Command {
	var toWrite bool
	cmd := &cobra.Command{
		Use:     "policy",
		Short:   short,
		Example: example,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text := read
			if toWrite {
				text = write
			}
			_, err := fmt.Fprint(cmd.OutOrStdout(), text)
			return err
		},
	}
	cmd.Flags().BoolVar(&toWrite, "write", false, writeHelp)
	return cmd
}

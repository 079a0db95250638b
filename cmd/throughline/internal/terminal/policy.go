package terminal

import (
	"fmt"

	"github.com/spf13/cobra"
)

// PolicyCommand is a verb that prints an IAM policy: read, or with --write the one
// in write. short and example are of the command's help; writeHelp is the flag's.
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

package account

import (
	"fmt"

	"github.com/spf13/cobra"
)

// NewPolicy returns the subcommand "policy" of a command. It prints an IAM policy; what
// names the part of the command that needs it.
func NewPolicy(of, what, policy string) *cobra.Command {
	return &cobra.Command{
		Use:     "policy",
		Short:   "Print the IAM policy that " + what + " needs",
		Example: "  throughline " + of + " policy > policy.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(cmd.OutOrStdout(), policy)
			return err
		},
	}
}

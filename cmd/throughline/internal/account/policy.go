package account

import (
	"fmt"

	"github.com/spf13/cobra"
)

// NewPolicy returns the command "policy" of a command, which prints the IAM policy that
// something of it needs.
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

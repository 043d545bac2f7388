package aws

import (
	"strings"
	"time"

	"github.com/weir-dev/weir/internal/lab/aws/wire"
)

// identityOps are the calls of STS that a client makes on its way: who it is, and
// credentials for a role, which are none that anybody could use elsewhere.
func (s *Server) identityOps() map[string]wire.Op {
	return map[string]wire.Op{
		"GetCallerIdentity": func(*wire.Call) (wire.Out, error) {
			return wire.Out{"Account": s.cfg.Account, "Arn": "arn:aws:iam::" + s.cfg.Account + ":user/weir-lab", "UserId": "AIDAWEIRLABWEIRLAB00"}, nil
		},
		"AssumeRole": func(c *wire.Call) (wire.Out, error) {
			role, session := c.In.String("RoleArn"), c.In.String("RoleSessionName")
			life := time.Hour
			if c.In.Has("DurationSeconds") {
				life = time.Duration(c.In.Int("DurationSeconds")) * time.Second
			}
			if err := c.In.Err(); err != nil {
				return nil, err
			}
			_, name, ok := strings.Cut(role, ":role/")
			if !ok || session == "" || life < 15*time.Minute || life > 12*time.Hour {
				return nil, wire.Failf("ValidationError", "", "RoleArn must be the ARN of a role, RoleSessionName must not be empty, and DurationSeconds must be between 900 and 43200.")
			}
			// The end is in real time: clients compare it with their own clock.
			return wire.Out{
				"Credentials":     wire.Out{"AccessKeyId": "ASIAWEIRLABWEIRLAB00", "SecretAccessKey": "not-a-secret", "SessionToken": wire.NewID(), "Expiration": time.Now().Add(life)},
				"AssumedRoleUser": wire.Out{"AssumedRoleId": "AROAWEIRLABWEIRLAB00:" + session, "Arn": "arn:aws:sts::" + s.cfg.Account + ":assumed-role/" + name + "/" + session},
			}, nil
		},
	}
}

package lambdalocal

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// hidden are the variables that extensions do not get, besides those whose names
// begin with an underscore.
var hidden = []string{
	"AWS_EXECUTION_ENV", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_XRAY_CONTEXT_MISSING",
	"AWS_XRAY_DAEMON_ADDRESS", "LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT",
}

// runtimeVariables returns the environment variables of the runtime process.
func (e *Environment) runtimeVariables() map[string]string {
	f := e.function
	v := map[string]string{
		"PATH": "/usr/local/bin:/usr/bin/:/bin:/opt/bin", "LANG": "en_US.UTF-8", "TZ": ":UTC",
		"AWS_LAMBDA_RUNTIME_API":          e.address,
		"AWS_LAMBDA_FUNCTION_NAME":        f.Name,
		"AWS_LAMBDA_FUNCTION_VERSION":     f.Version,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(f.Memory),
		"AWS_LAMBDA_INITIALIZATION_TYPE":  string(e.mode),
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/" + f.Name,
		"AWS_LAMBDA_LOG_STREAM_NAME":      e.logStream,
		"AWS_REGION":                      f.Region,
		"AWS_DEFAULT_REGION":              f.Region,
		"AWS_EXECUTION_ENV":               f.ExecutionEnv,
		"AWS_XRAY_CONTEXT_MISSING":        "LOG_ERROR",
		"AWS_XRAY_DAEMON_ADDRESS":         "169.254.79.129:2000",
		"_AWS_XRAY_DAEMON_ADDRESS":        "169.254.79.129",
		"_AWS_XRAY_DAEMON_PORT":           "2000",
		"_HANDLER":                        f.Handler,
		"LAMBDA_TASK_ROOT":                f.TaskRoot,
		"LAMBDA_RUNTIME_DIR":              "/var/runtime",
		"TMPDIR":                          e.tmp,
	}
	if f.LogFormat == JSON {
		v["AWS_LAMBDA_LOG_FORMAT"], v["AWS_LAMBDA_LOG_LEVEL"] = string(JSON), "INFO"
	}
	if e.mode == ManagedInstances {
		v["AWS_LAMBDA_MAX_CONCURRENCY"] = strconv.Itoa(f.Concurrency)
	}
	if e.mode == SnapStart {
		v["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = fmt.Sprintf("http://%s%s", e.address, credentialsPath)
		v["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = e.token
	} else {
		credentials := e.deployment.credentials()
		v["AWS_ACCESS_KEY_ID"], v["AWS_SECRET_ACCESS_KEY"], v["AWS_SESSION_TOKEN"] =
			credentials.AccessKeyID, credentials.SecretAccessKey, credentials.SessionToken
	}
	maps.Copy(v, f.Env)
	if f.Wrapper != "" {
		v["AWS_LAMBDA_EXEC_WRAPPER"] = f.Wrapper
	}
	return v
}

// extensionVariables returns those of the runtime without those that Lambda hides.
func (e *Environment) extensionVariables() map[string]string {
	v := e.runtimeVariables()
	maps.DeleteFunc(v, func(name, _ string) bool {
		return strings.HasPrefix(name, "_") || slices.Contains(hidden, name) ||
			e.mode == ManagedInstances && name == "AWS_LAMBDA_MAX_CONCURRENCY"
	})
	return v
}

func environ(variables map[string]string) []string {
	list := make([]string, 0, len(variables))
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		list = append(list, name+"="+variables[name])
	}
	return list
}

// SPDX-License-Identifier: Apache-2.0

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

import org.ovirt.engine.core.common.businessentities.VmDeviceGeneralType;
import org.ovirt.engine.core.common.config.Config;
import org.ovirt.engine.core.common.config.ConfigValues;
import org.ovirt.engine.core.common.utils.customprop.VmPropertiesUtils;
import org.ovirt.engine.core.compat.Version;
import org.ovirt.engine.core.config.EngineConfigExecutor;
import org.ovirt.engine.core.config.entity.helper.DeviceCustomPropertiesValueHelper;
import org.ovirt.engine.core.config.entity.helper.UserDefinedVMPropertiesValueHelper;
import org.ovirt.engine.core.utils.EngineLocalConfig;
import org.ovirt.engine.core.utils.customprop.DevicePropertiesUtils;

/**
 * oVirt engine's own code for custom properties and engine-config, on a file instead of a database.
 *
 * java Kit config STATE ARG...         does as engine-config ARG... does
 * java Kit check STATE VERSION KIND    prints the expression of vmfex for a vm or a nic and, for each value, a
 *                                      line of base64 on stdin, whether the engine takes it: true or false
 *
 * STATE has lines such as UserDefinedVMProperties/4.7=vmfex=^x$; what it lacks has the engine's default.
 */
public class Kit {
    private static final String NAME = "vmfex";
    private static final String SQL = "../dbscripts/upgrade/pre_upgrade/0000_config.sql";
    private static final Pattern STATEMENT = Pattern.compile("select fn_db_\\w+?(_up_to)?\\('("
            + Arrays.stream(ConfigValues.values()).map(Enum::name).collect(Collectors.joining("|"))
            + ")', *'([^']*)', *(?:'([\\d.]+)', *)?'([\\w.]+)'\\);");
    /** engine-config looks for these by name, so javac has to be told of them. */
    private static final List<Class<?>> HELPERS =
            Arrays.asList(DeviceCustomPropertiesValueHelper.class, UserDefinedVMPropertiesValueHelper.class);

    public static void main(String[] args) throws Exception {
        Path state = Paths.get(args[1]);
        loadDefaults();
        for (String line : Files.readAllLines(state)) {
            String[] row = line.split("=", 2);
            Config.values.put(row[0], row[1]);
        }
        if (args[0].equals("check")) {
            check(new Version(args[2]), args[3].equals("vm"));
            return;
        }
        Map<String, String> before = new TreeMap<>(Config.values);
        EngineConfigExecutor.main(Arrays.copyOfRange(args, 2, args.length));
        if (!Config.values.equals(before)) {
            Files.write(state, Config.values.entrySet().stream().map(Map.Entry::toString).collect(Collectors.toList()));
        }
    }

    private static void loadDefaults() throws IOException {
        List<String> all = Version.ALL.stream().map(Version::getValue).collect(Collectors.toList());
        for (String line : Files.readAllLines(EngineLocalConfig.getInstance().getEtcDir().toPath().resolve(SQL))) {
            Matcher m = STATEMENT.matcher(line);
            if (m.matches()) {
                int from = m.group(4) == null ? 0 : all.indexOf(m.group(4));
                List<String> versions = m.group(1) == null ? Collections.singletonList(m.group(5))
                        : all.subList(from, all.indexOf(m.group(5)) + 1);
                versions.forEach(version -> Config.values.put(m.group(2) + "/" + version, m.group(3)));
            }
        }
    }

    /** What the engine does with a VM's or a vNIC profile's custom property, when it is entered. */
    private static void check(Version version, boolean ofVm) throws Exception {
        VmPropertiesUtils vms = VmPropertiesUtils.getInstance();
        DevicePropertiesUtils devices = DevicePropertiesUtils.getInstance();
        vms.init();
        devices.init();
        Map<String, String> expressions = ofVm ? vms.getAllVmProperties().get(version)
                : devices.getDeviceProperties(version, VmDeviceGeneralType.INTERFACE);
        System.out.println(expressions.get(NAME));
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String value = new String(Base64.getDecoder().decode(line), UTF_8);
            Map<String, String> properties = Collections.singletonMap(NAME, value);
            System.out.println(ofVm ? vms.validateVmProperties(version, NAME + "=" + value, new ArrayList<>())
                    : devices.validateProperties(version, VmDeviceGeneralType.INTERFACE, properties).isEmpty());
        }
    }
}
